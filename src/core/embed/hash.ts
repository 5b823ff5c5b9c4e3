/**
 * Feature hashing: words and character n-grams, counted into signed buckets. It needs no file and
 * knows no language; it sees spelling, not meaning.
 *
 * The features of a word are the word between two spaces and every shorter run of 3 to 5 units of
 * that. A feature's hash picks its bucket and its sign, so that collisions cancel on average. The
 * square root of a bucket keeps a repeated word from drowning the others.
 */
import { InvalidParameter } from "../errors.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"
import type { Embedder } from "./embedder.ts"
import { EMPTY_HASH, extendHash } from "./fnv1a.ts"
import { embedInPlace } from "./in-place.ts"
import { writeNormalised } from "./normalise.ts"
import { Words } from "./words.ts"

const SHORTEST_GRAM = 3
const LONGEST_GRAM = 5
/** Between words: no word holds it. */
const SPACE = 32

/** Spreads a hash over all 32 bits (the finaliser of MurmurHash3): the lowest is the sign. */
const spread = (hash: number): number => {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

class HashEncoder {
  readonly #words = new Words()
  readonly #sums: Float64Array

  constructor(dimensions: number) {
    this.#sums = new Float64Array(dimensions)
  }

  /** Writes the vector of `text` at `out[at]`; false when the text has no word. */
  encode(text: string, out: Float32Array, at: number): boolean {
    const words = this.#words
    words.split(text)
    if (words.count === 0) return false
    const { units, bounds } = words
    const sums = this.#sums.fill(0)
    for (let i = 0; i < words.count; i++) this.#addWord(units, bounds[2 * i]!, bounds[2 * i + 1]!)
    // The few features of a very short text can cancel each other out: its first word stands for it then.
    if (sums.every((sum) => sum === 0)) this.#add(wordHash(units, bounds[0]!, bounds[1]!))
    for (let c = 0; c < sums.length; c++) sums[c] = Math.sign(sums[c]!) * Math.sqrt(Math.abs(sums[c]!))
    return writeNormalised(sums, out, at)
  }

  #addWord(units: Uint16Array, from: number, to: number): void {
    this.#add(wordHash(units, from, to))
    for (let start = from - 1; start <= to + 1 - SHORTEST_GRAM; start++) {
      const last = Math.min(start + LONGEST_GRAM - 1, start < from ? to - 1 : to)
      let hash = EMPTY_HASH
      for (let i = start; i <= last; i++) {
        hash = extendHash(hash, i < from || i === to ? SPACE : units[i]!)
        if (i - start >= SHORTEST_GRAM - 1) this.#add(hash)
      }
    }
  }

  #add(hash: number): void {
    const bits = spread(hash)
    this.#sums[(bits >>> 1) % this.#sums.length]! += bits & 1 ? 1 : -1
  }
}

const wordHash = (units: Uint16Array, from: number, to: number): number => {
  let hash = extendHash(EMPTY_HASH, SPACE)
  for (let i = from; i < to; i++) hash = extendHash(hash, units[i]!)
  return extendHash(hash, SPACE)
}

export interface HashEmbedderOptions {
  /** Components of a vector, 512 by default: a multiple of 8. */
  readonly dimensions?: number | undefined
}

/** Identity of the embedder of so many components. */
export const hashEmbedderId = (dimensions: number): string => `hash-ngrams-${dimensions}@1`

/** Hashed words and character n-grams: the embedder that needs nothing. */
export const hashEmbedder = ({ dimensions = 512 }: HashEmbedderOptions = {}): Embedder => {
  if (!(dimensions >= 8 && dimensions <= MAX_DIMENSIONS && dimensions % 8 === 0)) {
    throw new InvalidParameter({
      parameter: "dimensions",
      reason: `expected a multiple of 8 from 8 to ${MAX_DIMENSIONS}, got ${dimensions}`
    })
  }
  const encoder = new HashEncoder(dimensions)
  return {
    id: hashEmbedderId(dimensions),
    dimensions,
    quick: true,
    embed: (texts, { signal } = {}) => embedInPlace(encoder, dimensions, texts, signal)
  }
}
