/** What can be made of tensors. Each operation returns a new one, and channels stay between 0 and 1 where they were. */
import { wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { pcg64 } from "../index/pcg64.ts"
import { share } from "./options.ts"
import { type OwnTensor, ownTensor, type Tensor } from "./tensor.ts"

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
    data: first.data.map((x, i) => between(x, second.data[i]!)),
    certainty: between(first.certainty, second.certainty)
  }
}

/** `a` seen through `b`: the product of each value, and of the certainties. */
export const filterTensor = (a: Tensor, b: Tensor): OwnTensor => {
  const [first, second] = pair(a, b)
  return {
    ...first,
    data: first.data.map((x, i) => x * second.data[i]!),
    certainty: first.certainty * second.certainty
  }
}

/** One less each value. */
export const complementTensor = (tensor: Tensor): OwnTensor => {
  const own = ownTensor(tensor)
  return { ...own, data: own.data.map((x) => 1 - x) }
}

/**
 * Moves the channels of each cell apart: what each differs from their mean is multiplied by `factor`, 0 or more, and the
 * result is kept between 0 and 1. 0 leaves greys, 1 changes nothing.
 */
export const saturateTensor = (tensor: Tensor, factor: number): OwnTensor => {
  const own = ownTensor(tensor)
  if (!(Number.isFinite(factor) && factor >= 0)) {
    throw new InvalidParameter({ parameter: "factor", reason: `wanted 0 or more, got ${factor}` })
  }
  const { data, channels } = own
  const saturated = data.map((x, i) => {
    const from = i - (i % channels)
    const mean = data.subarray(from, from + channels).reduce((sum, one) => sum + one, 0) / channels
    return Math.min(1, Math.max(0, mean + factor * (x - mean)))
  })
  return { ...own, data: saturated }
}

/** A tensor of numbers from 0 up to 1 that are the same for one seed, a whole number from 0 to 2^32 - 1, on every machine. */
export const tensorFromSeed = (
  seed: number,
  sides: Pick<Tensor, "rows" | "columns" | "layers" | "channels">
): OwnTensor => {
  const next = pcg64(wholeNumber("seed", seed, 0, 2 ** 32 - 1))
  const { rows, columns, layers = 1, channels = 1 } = sides
  for (const [name, side] of Object.entries({ rows, columns, layers, channels })) wholeNumber(name, side, 1, 4096)
  // The upper 24 bits: as many as an f32 holds, so that 1 is never reached.
  const data = Float32Array.from({ length: rows * columns * layers * channels }, () => (next() >>> 8) / 2 ** 24)
  return ownTensor({ rows, columns, layers, channels, data })
}
