/** Items that are worth most together: near what is asked for, and unlike one another. */
import type { Kernels } from "../../kernels/contract.ts"
import { forEachSliced } from "../../slice.ts"

/** Vectors of one length as columns, so that the products of one with all are a product of matrices. */
const transposed = async (vectors: Float32Array, count: number): Promise<Float32Array> => {
  const d = count === 0 ? 0 : vectors.length / count
  const columns = new Float32Array(vectors.length)
  await forEachSliced(count, undefined, (i) => {
    for (let c = 0; c < d; c++) columns[c * count + i] = vectors[i * d + c]!
  })
  return columns
}

/** Products that take a fraction of a millisecond. */
const PRODUCTS_A_LOOK = 2 ** 21

/** Similarities of each of `count` vectors of length 1 to each, row-major; long ones leave room for others. */
export const similarities = async (kernels: Kernels, vectors: Float32Array, count: number): Promise<Float32Array> => {
  const alike = new Float32Array(count * count)
  if (count === 0) return alike
  const d = vectors.length / count
  const columns = await transposed(vectors, count)
  const rows = Math.max(1, Math.floor(PRODUCTS_A_LOOK / (d * count)))
  const step = (i: number) => {
    const [from, to] = [i * rows, Math.min(count, (i + 1) * rows)]
    const out = alike.subarray(from * count, to * count)
    kernels.matmul(vectors.subarray(from * d, to * d), columns, out, to - from, d, count)
  }
  await forEachSliced(Math.ceil(count / rows), undefined, step, 1)
  return alike
}

interface Ranked {
  /** Worth of each candidate by itself, 0..1, in any order. */
  readonly worth: ArrayLike<number>
  /** Embeddings of the candidates, of length 1. */
  readonly vectors: Float32Array
  readonly k: number
  /** Weight of the worth against unlikeness, 0..1. */
  readonly lambda: number
}

interface Pick {
  /** Position among the candidates. */
  readonly at: number
  readonly value: number
  /** Largest similarity to those chosen before; undefined for the first. */
  readonly nearest: number | undefined
}

/**
 * Chooses again and again the candidate whose `lambda * worth - (1 - lambda) * max(0, nearest)` is largest, where
 * `nearest` is its largest similarity to one that was chosen before. Both are 0..1, so lambda weighs like with like.
 * Ties go to the earlier candidate. Many picks leave room for others between them.
 */
export const diversified = async (
  kernels: Kernels,
  { worth, vectors, k, lambda }: Ranked
): Promise<ReadonlyArray<Pick>> => {
  const count = worth.length
  const d = count === 0 ? 0 : vectors.length / count
  const columns = await transposed(vectors, count)
  const alike = new Float32Array(count)
  const nearest = new Float32Array(count).fill(Number.NEGATIVE_INFINITY)
  const isChosen = new Uint8Array(count)
  const picks: Array<Pick> = []
  const value = (at: number): number => lambda * worth[at]! - (1 - lambda) * Math.max(0, nearest[at]!)
  const pick = () => {
    let best = -1
    for (let at = 0; at < count; at++) if (isChosen[at] === 0 && (best < 0 || value(at) > value(best))) best = at
    picks.push({ at: best, value: value(best), nearest: picks.length === 0 ? undefined : nearest[best]! })
    isChosen[best] = 1
    kernels.matmul(vectors.subarray(best * d, (best + 1) * d), columns, alike, 1, d, count)
    for (let at = 0; at < count; at++) nearest[at] = Math.max(nearest[at]!, alike[at]!)
  }
  await forEachSliced(Math.min(k, count), undefined, pick, 1)
  return picks
}

/**
 * How many of the items chosen in this order stay, when none may bring the mean distance of their pairs, one less the
 * similarity, under `least`.
 */
export const dispersed = async (alike: Float32Array, count: number, least: number): Promise<number> => {
  let sum = 0
  let kept = count
  await forEachSliced(count, undefined, (last) => {
    if (kept < count) return
    for (let other = 0; other < last; other++) sum += 1 - alike[last * count + other]!
    if (last > 0 && sum / ((last * (last + 1)) / 2) < least) kept = last
  })
  return kept
}
