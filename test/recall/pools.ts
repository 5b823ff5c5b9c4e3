/** Pools for tests, and a naive one to compare them with. */
import { hashEmbedder, open } from "../../src/index.ts"
import { type RecallInput, type RecallOptions, type RecallPool, recallPool } from "../../src/recall.ts"
import { randomVectors } from "../property/kernels/random.ts"

export const DIMENSIONS = 16

/** Runs `use` with a pool in memory. */
export const withPool = async <A>(options: RecallOptions, use: (pool: RecallPool) => Promise<A>): Promise<A> => {
  await using db = await open(":memory:", { threads: 1 })
  await using pool = await recallPool(db, { dimensions: DIMENSIONS, ...options })
  return await use(pool)
}

/** A time that tests set. */
export class Clock {
  now = 1_700_000_000_000
  readonly read = (): number => this.now
}

export const embedder = hashEmbedder({ dimensions: 64 })

/** Vectors that are all the same for one seed. */
export const vectorsOf = (seed: number, count: number, dimensions = DIMENSIONS): ReadonlyArray<Float32Array> => {
  const all = randomVectors(seed, count * dimensions)
  return Array.from({ length: count }, (_, i) => all.slice(i * dimensions, (i + 1) * dimensions))
}

export const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!
    aa += a[i]! * a[i]!
    bb += b[i]! * b[i]!
  }
  return ab / Math.sqrt(aa * bb)
}

/** An item of the naive pool. */
export interface NaiveItem extends RecallInput {
  readonly key: string
  readonly embedding: Float32Array
  readonly utility: number
  outcomes: number
  came: number
  used: number
}

/** Keys of what is most similar, nearest first. */
export const nearestOf = (items: Iterable<NaiveItem>, query: ArrayLike<number>, k: number): ReadonlyArray<string> =>
  [...items]
    .map(({ key, embedding }) => ({ key, score: cosine(embedding, query) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, k)
    .map(({ key }) => key)
