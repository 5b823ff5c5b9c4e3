/** Stores to test with, written as collections write them. */
import assert from "node:assert/strict"
import { trainCodebook } from "../src/core/index/codebook.ts"
import { type Encoder, encoderParameters, makeEncoder } from "../src/core/index/encoder.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { newHits } from "../src/core/search/hits.ts"
import type { Mode } from "../src/core/search/options.ts"
import { choose, plan } from "../src/core/search/plan.ts"
import { encodeDescription } from "../src/core/store/image/description.ts"
import { type ImagePlan, planImage } from "../src/core/store/image/ranges.ts"
import { BLOCK, type Column, codeColumns, type PqShape, rowColumns, SLOTS } from "../src/core/store/layout.ts"
import type { StoreShape } from "../src/core/store/memory.ts"
import type { StoredPayload } from "../src/core/store/records.ts"
import { addressOf, encodeKey, vectorOf } from "../src/core/store/rows.ts"
import { Store } from "../src/core/store/store.ts"
import { writeVectors } from "../src/core/store/write.ts"
import { randomVectors } from "./property/kernels/random.ts"

/** An empty store whose codes come from a random projection, or from a codebook. */
export const newStore = (kernels: Kernels, shape: StoreShape, seed = 1): Store => {
  const mean = shape.metric === "l2" ? randomVectors(seed + 1, shape.dimensions) : undefined
  const factorScale = shape.metric === "l2" ? 0.5 : 1
  if (shape.pq !== undefined) return new Store(kernels, shape, productEncoder(kernels, shape, shape.pq, seed))
  const parameters = encoderParameters(randomVectors(seed, shape.dimensions * 256), mean)
  return new Store(kernels, shape, makeEncoder(kernels, { id: 1, kind: "projection", seed, factorScale, parameters }))
}

/** An encoder of product codes that a few random vectors were enough for. */
const productEncoder = (kernels: Kernels, { dimensions }: StoreShape, pq: PqShape, seed: number): Encoder => {
  const made = trainCodebook(kernels, randomVectors(seed, 300 * dimensions), dimensions, pq, { seed })
  return makeEncoder(kernels, { id: 1, kind: "pq", seed, dimensions, ...made })
}

/** The modes that a store of this shape takes. */
export const modesOf = ({ precision, pq }: StoreShape): ReadonlyArray<Mode> => [
  ...(precision === "none" ? [] : (["exact"] as const)),
  ...(pq === undefined ? (["flat", "ivf", "binary"] as const) : (["pq"] as const))
]

export const rowOf = (store: Store, key: string): number => {
  const { hash, bytes, length } = encodeKey(key)!
  return store.keys.find(hash, bytes, length)
}

/** Adds or updates entries with different keys; vectors follow from the seed. */
export const put = (store: Store, keys: ReadonlyArray<string>, seed: number, payload?: StoredPayload): void => {
  const rows = store.reserve(keys.length)
  const vectors = randomVectors(seed, keys.length * store.shape.dimensions)
  const lists = writeVectors(store.kernels, store.columns, rows, vectors)
  for (const [i, key] of keys.entries()) {
    const replaced = rowOf(store, key)
    const encoded = encodeKey(key)!
    store.enlist(rows[i]!, lists?.[i])
    store.publish(rows[i]!, encoded, store.writeRecord(encoded, payload), replaced)
  }
}

/** Removes an entry that may not be there. */
export const drop = (store: Store, key: string): void => {
  const row = rowOf(store, key)
  if (row >= 0) store.remove(row, encodeKey(key)!)
}

/** Keys of `smallStore`, one of which it lacks. */
export const SMALL_KEYS = ["a", "b", "c", "d", "é"]

/** Few entries for the smallest of images: every section is there, and rows that are free. */
export const smallStore = (kernels: Kernels): Store => {
  const store = newStore(kernels, { dimensions: 1, metric: "cosine", precision: "none" })
  put(store, SMALL_KEYS, 1, { json: '{"text":"hello"}' })
  put(store, ["c"], 2)
  drop(store, "d")
  return store
}

/** Where everything lies in the image that a store was loaded from. */
export const planOf = ({ shape, directory, keys, records, lists, tags, codes }: Store): ImagePlan =>
  planImage({
    shape,
    rotated: codes.encoder.rotated ?? 0,
    lists: lists?.count ?? 0,
    listBlocks: lists?.blocks ?? 0,
    rows: directory.rows,
    keyCapacity: keys.current.length,
    recordsBytes: records.buffers[0]?.byteLength ?? 0,
    tagsBytes: tags.touchedBytes,
    descriptionBytes: encodeDescription(shape, codes.calibration).length
  })

/** All that can be read of an entry by its key; undefined when there is none. */
export const entryOf = (store: Store, key: string) => {
  const row = rowOf(store, key)
  if (row < 0) return undefined
  const address = addressOf(store, row)
  return {
    row,
    generation: store.segments[Math.floor(row / SLOTS)]!.generation[row % SLOTS]!,
    key: store.records.key(address),
    payload: store.records.payload(address),
    vector: store.shape.precision === "none" ? undefined : vectorOf(store, row)
  }
}

/** The bytes of every column over the blocks in use. */
const columnsOf = (store: Store): ReadonlyArray<Uint8Array> => {
  const used = Math.ceil(store.directory.rows / BLOCK)
  return store.segments.flatMap(({ rows }, i) => {
    const blocks = Math.max(0, Math.min(SLOTS / BLOCK, used - i * (SLOTS / BLOCK)))
    const parts = (view: Uint8Array, columns: ReadonlyArray<Column>) =>
      columns.map(({ offset, blockBytes }) => view.slice(offset, offset + blocks * blockBytes))
    return [
      ...parts(rows, rowColumns(store.shape.precision, store.shape.dimensions)),
      ...parts(store.columns.codes[i]!, codeColumns(store.shape.metric, store.shape.pq))
    ]
  })
}

const searchesOf = (store: Store, seed: number) => {
  const queries = randomVectors(seed, 3 * store.shape.dimensions)
  return modesOf(store.shape).map((mode) => {
    const claim = store.directory.claim(store.reader)
    const whole = plan(
      choose({ mode }, store.shape),
      store.columns,
      store.directory.rows,
      store.directory.cancelWord(claim)
    )
    const hits = newHits(3, whole.keep)
    store.kernels.search(whole, store.columns, queries, store.directory.words, hits)
    store.directory.release(claim, store.reader)
    return hits
  })
}

/** Fails when anything that can be asked of two stores is answered differently. */
export const assertSameStore = (actual: Store, expected: Store, keys: Iterable<string>): void => {
  assert.deepEqual(actual.shape, expected.shape)
  assert.deepEqual(actual.codes.encoder, expected.codes.encoder)
  assert.equal(actual.directory.rows, expected.directory.rows)
  assert.equal(actual.directory.live, expected.directory.live)
  assert.equal(actual.keys.size, expected.keys.size)
  for (const key of keys) assert.deepEqual(entryOf(actual, key), entryOf(expected, key))
  assert.deepEqual(columnsOf(actual), columnsOf(expected))
  assert.deepEqual(searchesOf(actual, 5), searchesOf(expected, 5))
}
