/** What can be made of tensors. Each operation returns a new one, and channels stay between 0 and 1 where they were. */
import { finite, object, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { pcg64 } from "../index/pcg64.ts"
import { share } from "./options.ts"
import { type OwnTensor, ownTensor, sidesOf, type Tensor } from "./tensor.ts"

/** A new value for each of a tensor; a loop, for `map` takes ten times as long. */
const mapped = (data: Float32Array, valueAt: (x: number, i: number) => number): Float32Array => {
  const made = new Float32Array(data.length)
  for (let i = 0; i < made.length; i++) made[i] = valueAt(data[i]!, i)
  return made
}

/** Two tensors of one shape. */
const pair = (a: Tensor, b: Tensor): readonly [OwnTensor, OwnTensor] => {
  const [first, second] = [ownTensor(a, "a"), ownTensor(b, "b")]
  for (const side of ["rows", "columns", "layers", "channels"] as const) {
    if (first[side] !== second[side]) {
      throw new InvalidParameter({ parameter: `b.${side}`, reason: `wanted ${first[side]}, got ${second[side]}` })
    }
  }
  return [first, second]
}

/** `(1 - amount) a + amount b` of each value and of the certainty; `amount` is 0..1, default 0.5. */
export const mixTensors = (a: Tensor, b: Tensor, amount = 0.5): OwnTensor => {
  const [first, second] = pair(a, b)
  const part = share("amount", amount)
  const between = (x: number, y: number): number => (1 - part) * x + part * y
  return {
    ...first,
    data: mapped(first.data, (x, i) => between(x, second.data[i]!)),
    certainty: between(first.certainty, second.certainty)
  }
}

/** `a` seen through `b`: the product of each value, and of the certainties. */
export const filterTensor = (a: Tensor, b: Tensor): OwnTensor => {
  const [first, second] = pair(a, b)
  return {
    ...first,
    data: mapped(first.data, (x, i) => x * second.data[i]!),
    certainty: first.certainty * second.certainty
  }
}

/** One less each value. */
export const complementTensor = (tensor: Tensor): OwnTensor => {
  const own = ownTensor(tensor)
  return { ...own, data: mapped(own.data, (x) => 1 - x) }
}

/**
 * Moves the channels of each cell apart: what each differs from their mean is multiplied by `factor`, 0 or more, and the
 * result is kept between 0 and 1. 0 leaves greys, 1 changes nothing.
 */
export const saturateTensor = (tensor: Tensor, factor: number): OwnTensor => {
  const own = ownTensor(tensor)
  if (finite("factor", factor) < 0) {
    throw new InvalidParameter({ parameter: "factor", reason: `wanted 0 or more, got ${factor}` })
  }
  const { data, channels } = own
  const saturated = new Float32Array(data.length)
  for (let from = 0; from < data.length; from += channels) {
    let sum = 0
    for (let i = from; i < from + channels; i++) sum += data[i]!
    const mean = sum / channels
    for (let i = from; i < from + channels; i++) {
      saturated[i] = Math.min(1, Math.max(0, mean + factor * (data[i]! - mean)))
    }
  }
  return { ...own, data: saturated }
}

/** A tensor of numbers from 0 up to 1 that are the same for one seed, a whole number from 0 to 2^32 - 1, on every machine. */
export const tensorFromSeed = (
  seed: number,
  sides: Pick<Tensor, "rows" | "columns" | "layers" | "channels">
): OwnTensor => {
  const next = pcg64(wholeNumber("seed", seed, 0, 2 ** 32 - 1))
  const { count, sides: own } = sidesOf(object("sides", sides), "sides")
  // The upper 24 bits: as many as an f32 holds, so that 1 is never reached.
  const data = mapped(new Float32Array(count), () => (next() >>> 8) / 2 ** 24)
  return ownTensor({ ...own, data })
}
