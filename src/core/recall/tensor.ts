/** Small tensors that items carry: rows x columns x layers x channels of f32, the channels of a cell side by side. */
import { finite, object, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"

/** Cells of a tensor at most, over all layers and channels: 4 MiB. */
const MAX_VALUES = 2 ** 20
const MAX_SIDE = 4096

/** Small: the spectrum of up to 50,000 values takes a millisecond of the event loop at most, a larger one longer. */
export interface Tensor {
  /** 1 to 4,096. */
  readonly rows: number
  /** 1 to 4,096. */
  readonly columns: number
  /** 1 to 4,096. Default 1. */
  readonly layers?: number | undefined
  /** 1 to 4,096. Default 1; three are red, green and blue to whoever sees colours in them. */
  readonly channels?: number | undefined
  /** Value of channel `c` of layer `l` at row `r`, column `x`: `((r * columns + x) * layers + l) * channels + c`. */
  readonly data: ArrayLike<number>
  /** How much the tensor is to be trusted, 0 to 1. Default 1. */
  readonly certainty?: number | undefined
}

/** A tensor with every default, whose numbers are its own. */
export interface OwnTensor extends Required<Tensor> {
  readonly rows: number
  readonly columns: number
  readonly layers: number
  readonly channels: number
  readonly certainty: number
  readonly data: Float32Array
}

/** Whether all are finite: zero times anything else is no number, and stays so in a sum. */
const isFiniteThroughout = (numbers: Float32Array): boolean => {
  let sum = 0
  for (let i = 0; i < numbers.length; i++) sum += 0 * numbers[i]!
  return sum === 0
}

/** A tensor that was checked and copied; throws `InvalidParameter`. */
export const ownTensor = (tensor: Tensor, parameter = "tensor"): OwnTensor => {
  const { rows, columns, layers = 1, channels = 1, data, certainty = 1 } = object(parameter, tensor)
  const sides = { rows, columns, layers, channels }
  for (const [name, side] of Object.entries(sides)) wholeNumber(`${parameter}.${name}`, side, 1, MAX_SIDE)
  const count = rows * columns * layers * channels
  const wrong = (name: string, reason: string) => new InvalidParameter({ parameter: `${parameter}.${name}`, reason })
  if (count > MAX_VALUES) throw wrong("data", `more than ${MAX_VALUES} values`)
  if (typeof data !== "object" || data === null || data.length !== count) throw wrong("data", `wanted ${count} numbers`)
  const isTyped = ArrayBuffer.isView(data) && typeof data[0] === "number"
  for (let i = 0; i < count && !isTyped; i++) {
    if (typeof data[i] !== "number") throw wrong("data", `value ${i} is no number`)
  }
  const own = new Float32Array(data)
  if (!isFiniteThroughout(own)) throw wrong("data", "holds something else than finite numbers")
  if (!(finite(`${parameter}.certainty`, certainty) >= 0 && certainty <= 1)) {
    throw wrong("certainty", `wanted a number from 0 to 1, got ${certainty}`)
  }
  return { ...sides, data: own, certainty }
}
