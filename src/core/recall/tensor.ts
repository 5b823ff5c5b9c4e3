/** Small tensors that items carry: rows x columns x layers x channels of f32, the channels of a cell side by side. */
import { finite, object, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"

/** Values of a tensor at most, over all layers and channels: 1 MiB. */
const MAX_VALUES = 2 ** 18
const MAX_SIDE = 4096

/** Small: up to 2^18 values, as a picture of 256 x 256 has in four channels. */
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

type Sides = Pick<OwnTensor, "rows" | "columns" | "layers" | "channels">

/** Sides with their defaults, and the values of such a tensor; throws `InvalidParameter`. */
export const sidesOf = (
  { rows, columns, layers = 1, channels = 1 }: Omit<Tensor, "data">,
  parameter: string
): { readonly sides: Sides; readonly count: number } => {
  const sides = { rows, columns, layers, channels }
  for (const [name, side] of Object.entries(sides)) wholeNumber(`${parameter}.${name}`, side, 1, MAX_SIDE)
  const count = rows * columns * layers * channels
  if (count <= MAX_VALUES) return { sides, count }
  throw new InvalidParameter({ parameter, reason: `of ${count} values, more than ${MAX_VALUES}` })
}

/** A tensor that was checked and copied; throws `InvalidParameter`. */
export const ownTensor = (tensor: Tensor, parameter = "tensor"): OwnTensor => {
  const { data, certainty = 1 } = object(parameter, tensor)
  const { sides, count } = sidesOf(tensor, parameter)
  const wrong = (name: string, reason: string) => new InvalidParameter({ parameter: `${parameter}.${name}`, reason })
  if (typeof data !== "object" || data === null || data.length !== count) throw wrong("data", `wanted ${count} numbers`)
  const own = new Float32Array(count)
  if (ArrayBuffer.isView(data) && typeof data[0] === "number") own.set(data)
  else {
    for (let i = 0; i < count; i++) {
      const value = data[i]
      if (typeof value !== "number") throw wrong("data", `value ${i} is no number`)
      own[i] = value
    }
  }
  if (!isFiniteThroughout(own)) throw wrong("data", "holds something else than finite numbers")
  if (!(finite(`${parameter}.certainty`, certainty) >= 0 && certainty <= 1)) {
    throw wrong("certainty", `wanted a number from 0 to 1, got ${certainty}`)
  }
  return { ...sides, data: own, certainty }
}
