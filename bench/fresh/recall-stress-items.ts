/** Items that can be told from their numbers, so that a score or payload that is of another shows. */
import type { RecallInput } from "../../src/recall.ts"

export const DIMENSIONS = 384
/** Components are stored in f16: what a cosine may differ by, well below that of another item. */
const ROUNDING = 0.002

/** What a thread asks the owner of the pool for. */
export type Asked =
  | { readonly kind: "add"; readonly items: ReadonlyArray<RecallInput> }
  | { readonly kind: "similar"; readonly number: number }

/** What a thread found in the memory of the pool itself. */
export interface StressReport {
  readonly found: number
  readonly torn: number
}

/** What `recall-stress.ts` prints; shares are of the budget. */
export interface Stress {
  readonly lost: number
  readonly torn: number
  /** Items that were found and checked. */
  readonly retrievals: number
  readonly evicted: number
  readonly items: number
  readonly bytes: number
  /** Resident before the first item: Node, its threads and their code. */
  readonly baseline: number
  /** Most that was resident. */
  readonly peak: number
}

const keyOf = (number: number): string => `item ${number}`
const numberOf = (key: string): number => Number(key.slice("item ".length))

/** A vector of length 1 that is the number's own. */
export const vectorOf = (number: number): Float32Array => {
  let state = Math.imul(number + 1, 0x9e3779b1) >>> 0
  const vector = new Float32Array(DIMENSIONS)
  let sum = 0
  for (let c = 0; c < DIMENSIONS; c++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const x = (state >>> 0) / 2 ** 31 - 1
    vector[c] = x
    sum += x * x
  }
  for (let c = 0; c < DIMENSIONS; c++) vector[c]! /= Math.sqrt(sum)
  return vector
}

export const itemOf = (number: number): RecallInput => ({
  key: keyOf(number),
  embedding: vectorOf(number),
  payload: { number, text: `What is remembered of ${number}` }
})

export const isItem = (key: string, payload: unknown): boolean =>
  (payload as { readonly number?: number } | undefined)?.number === numberOf(key)

/** Whether a score is the cosine of the vectors of a query's number and a key's. */
export const isScore = (query: number, key: string, score: number): boolean => {
  const [a, b] = [vectorOf(query), vectorOf(numberOf(key))]
  let cosine = 0
  for (let c = 0; c < DIMENSIONS; c++) cosine += a[c]! * b[c]!
  return Math.abs(cosine - score) <= ROUNDING
}
