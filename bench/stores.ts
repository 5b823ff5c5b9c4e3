/** Stores filled without a database around them: what kernels search on the calling thread. */

import { codebookRows, trainCodebook } from "../src/core/index/codebook.ts"
import { type Encoder, encoderParameters, factorScaleOf, makeEncoder } from "../src/core/index/encoder.ts"
import { TRAINING_ROWS, trainItq } from "../src/core/index/itq.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { normalise } from "../src/core/kernels/norm.ts"
import { CODE_BITS, CODE_BYTES, FACTORS_OFFSET, type PqShape, type Precision, SLOTS } from "../src/core/store/layout.ts"
import type { StoreShape } from "../src/core/store/memory.ts"
import { encodeKey } from "../src/core/store/rows.ts"
import { Store } from "../src/core/store/store.ts"
import { writeVectors } from "../src/core/store/write.ts"

/** Rows and dimension of a matrix of vectors. */
export interface Vectors {
  readonly dimensions: number
  readonly rows: number
  readonly base: Float32Array
}

const SEED = 42
/** 0.5 as f16: one factor for all, so that estimates differ by code alone. */
const HALF = 0x3800
/** Rows written in one native call. */
const CHUNK_ROWS = 4096

/** An encoder trained on rows evenly spread over the data, as a collection does it. */
export const trainedEncoder = (kernels: Kernels, vectors: Vectors): Encoder => {
  const { dimensions } = vectors
  const sample = sampleOf(vectors, TRAINING_ROWS)
  const parameters = trainItq(kernels, sample, dimensions, { seed: SEED })
  const factorScale = factorScaleOf("cosine", sample, parameters.subarray(0, dimensions))
  return makeEncoder(kernels, { id: 1, kind: "itq", seed: SEED, factorScale, parameters })
}

/** An encoder of product codes, trained likewise. */
export const trainedCodebook = (kernels: Kernels, vectors: Vectors, pq: PqShape): Encoder => {
  const { dimensions } = vectors
  const made = trainCodebook(kernels, sampleOf(vectors, codebookRows(pq)), dimensions, pq, { seed: SEED })
  return makeEncoder(kernels, { id: 1, kind: "pq", seed: SEED, dimensions, ...made })
}

/** At most `most` rows at length 1, evenly spread. */
const sampleOf = ({ dimensions, rows, base }: Vectors, most: number): Float32Array => {
  const count = Math.min(rows, most)
  const sample = new Float32Array(count * dimensions)
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * rows) / count) * dimensions
    sample.set(base.subarray(from, from + dimensions), i * dimensions)
    normalise(sample, i * dimensions, dimensions)
  }
  return sample
}

/** An encoder for stores whose codes nobody reads. */
export const blankEncoder = (kernels: Kernels, dimensions: number): Encoder => {
  const parameters = new Float32Array(new SharedArrayBuffer(4 * dimensions * (CODE_BITS + 1)))
  return makeEncoder(kernels, { id: 1, kind: "projection", seed: SEED, factorScale: 1, parameters })
}

/** An encoder whose projection is random: it costs what any other does. */
export const randomEncoder = (kernels: Kernels, dimensions: number): Encoder => {
  const parameters = encoderParameters(randomVectors(dimensions, CODE_BITS).base)
  return makeEncoder(kernels, { id: 1, kind: "projection", seed: SEED, factorScale: 1, parameters })
}

/** A store of metric cosine that holds every row. */
export const filledStore = (
  kernels: Kernels,
  vectors: Vectors,
  precision: Precision,
  encoder: Encoder,
  pq?: PqShape
): Store => {
  const { dimensions, rows: count, base } = vectors
  const store = new Store(kernels, { dimensions, metric: "cosine", precision, ...(pq && { pq }) }, encoder)
  const rows = store.reserve(count)
  for (let from = 0; from < count; from += CHUNK_ROWS) {
    const to = Math.min(count, from + CHUNK_ROWS)
    writeVectors(kernels, store.columns, rows.subarray(from, to), base.subarray(from * dimensions, to * dimensions))
  }
  publishAll(store, rows)
  return store
}

/** A binary-only store of random codes: what a scan of them costs does not depend on where they come from. */
export const randomCodes = (kernels: Kernels, count: number): Store => {
  const shape: StoreShape = { dimensions: CODE_BITS, metric: "cosine", precision: "none" }
  const store = new Store(kernels, shape, randomEncoder(kernels, shape.dimensions))
  const rows = store.reserve(count)
  const random = randomWords(SEED)
  for (const { buffer, byteOffset } of store.columns.codes) {
    const codes = new Uint32Array(buffer, byteOffset, FACTORS_OFFSET / 4)
    for (let i = 0; i < codes.length; i++) codes[i] = random()
    new Uint16Array(buffer, byteOffset + FACTORS_OFFSET, SLOTS).fill(HALF)
  }
  publishAll(store, rows)
  return store
}

const publishAll = (store: Store, rows: Uint32Array): void => {
  for (const row of rows) {
    const key = encodeKey(`key-${row}`)!
    store.publish(row, key, store.writeRecord(key, undefined), -1)
  }
}

/** Marsaglia's xorshift32. */
export const randomWords = (seed: number) => {
  let state = seed
  return (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Vectors with components in [-1, 1). */
export const randomVectors = (rows: number, dimensions: number): Vectors => {
  const random = randomWords(SEED)
  const base = Float32Array.from({ length: rows * dimensions }, () => random() / 2 ** 31 - 1)
  return { dimensions, rows, base }
}

/** The bytes of codes alone, as one stretch of memory: what a scan of `rows` must read at least. */
export const codeBytes = (rows: number): Uint8Array =>
  new Uint8Array(new SharedArrayBuffer(rows * CODE_BYTES)).fill(0x5a)
