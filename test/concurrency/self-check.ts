/**
 * Rows that tell whether they are whole: key, payload and vector all derive from a number and a
 * version, so a row that mixes two writes, or a hit that names another row, contradicts itself.
 */
import assert from "node:assert/strict"
import type { Entry, EntryInput, Hit } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"

export const DIMENSIONS = 16

/** What a payload says of its row. */
export interface Mark {
  readonly number: number
  /** Version of the vector. */
  readonly version: number
  /** Version of the payload, which moves alone at times. */
  readonly payload: number
  /** Repeats the rest over a length of its own, so that a torn payload does not parse or does not agree. */
  readonly echo: string
}

/** Components that every precision but int8 stores exactly; never all zero. */
export const vectorOf = (number: number, version: number): Float32Array => {
  const bits = randomBits(number * 0x9e37 + version * 0x85eb_ca6b)
  const vector = Float32Array.from({ length: DIMENSIONS }, () => ((bits() % 256) - 128) / 128)
  if (vector.every((x) => x === 0)) vector[0] = 1
  return vector
}

export const keyOf = (number: number): string => `key ${number}`

const echoOf = (number: number, version: number, payload: number): string =>
  `${number}.${version}.${payload};`.repeat(1 + (payload % 23))

export const markOf = (number: number, version: number, payload = version): Mark => ({
  number,
  version,
  payload,
  echo: echoOf(number, version, payload)
})

export const entryOf = (number: number, version: number): EntryInput => ({
  key: keyOf(number),
  vector: vectorOf(number, version),
  payload: markOf(number, version)
})

/** The mark of a payload, after checking that it is whole and belongs to `key`. */
const checkMark = (key: string, payload: unknown): Mark => {
  const mark = payload as Mark
  if (keyOf(mark.number) !== key) assert.equal(keyOf(mark.number), key, "the payload belongs to another key")
  const echo = echoOf(mark.number, mark.version, mark.payload)
  if (mark.echo !== echo) assert.equal(mark.echo, echo, "the payload is torn")
  return mark
}

/** Checks what `get` returned for `number`. */
export const checkEntry = (number: number, entry: Entry): Mark => {
  assert.equal(entry.key, keyOf(number), "another row was found")
  const mark = checkMark(entry.key, entry.payload)
  const expected = vectorOf(mark.number, mark.version)
  for (let i = 0; i < DIMENSIONS; i++) {
    if (entry.vector?.[i] !== expected[i]) assert.deepEqual(entry.vector, expected, "the vector is of another write")
  }
  return mark
}

/** Minus the squared distance, as exact search defines it. */
const exactScore = (query: Float32Array, vector: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < DIMENSIONS; i++) sum += (vector[i]! - query[i]!) ** 2
  return -sum
}

/** Checks a hit that was scored with its stored vector. */
export const checkHit = (query: Float32Array, hit: Hit): Mark => {
  const mark = checkMark(hit.key, hit.payload)
  const expected = exactScore(query, vectorOf(mark.number, mark.version))
  if (!(Math.abs(hit.score - expected) < 1e-3)) assert.equal(hit.score, expected, `${hit.key} has another vector`)
  return mark
}

/** Code bits of rounding near zero that a sum in another order may turn over. */
const ROUNDED_BITS = 2

/** The code of a vector under `encoder`: mean, then projection. */
export const codeOf = (vector: Float32Array, encoder: Float32Array): ReadonlyArray<boolean> => {
  const sums = new Float64Array(256)
  for (let i = 0; i < DIMENSIONS; i++) {
    const centred = vector[i]! - encoder[i]!
    for (let bit = 0; bit < 256; bit++) sums[bit]! += centred * encoder[DIMENSIONS + i * 256 + bit]!
  }
  return Array.from(sums, (sum) => sum >= 0)
}

/** Checks a hit of `binary`, whose score is 1 - Hamming distance / 128, for a query with this code. */
export const checkBinaryHit = (code: ReadonlyArray<boolean>, hit: Hit, encoder: Float32Array): Mark => {
  const mark = checkMark(hit.key, hit.payload)
  const found = codeOf(vectorOf(mark.number, mark.version), encoder)
  const expected = found.reduce((distance, bit, i) => distance + Number(bit !== code[i]), 0)
  const distance = (1 - hit.score) * 128
  if (!(Math.abs(distance - expected) <= 2 * ROUNDED_BITS)) {
    assert.equal(distance, expected, `${hit.key} has the code of another vector`)
  }
  return mark
}
