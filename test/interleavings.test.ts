/**
 * Races between a reader and the writer, each forced at its one bad moment: what a thread test meets
 * once in a million runs happens here in every one.
 */
import assert from "node:assert/strict"
import { test } from "node:test"
import { MessageChannel } from "node:worker_threads"
import { hitList } from "../src/core/collection/read.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { kernels } from "../src/core/native.ts"
import { ScanCost } from "../src/core/search/cost.ts"
import { searchInPlace } from "../src/core/search/search.ts"
import { AttachedMemory } from "../src/core/store/attach.ts"
import { SLOTS } from "../src/core/store/layout.ts"
import { newCodeColumn } from "../src/core/store/memory.ts"
import { encodeKey, NO_NAMESPACE } from "../src/core/store/rows.ts"
import type { Searchable } from "../src/core/store/searchable.ts"
import type { Store } from "../src/core/store/store.ts"
import { listAll } from "./lists.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { drop, newStore, put } from "./stores.ts"

/** As large as a chunk of records: one that has this much needs another chunk. */
const CHUNK_BYTES = 1 << 22
const SHAPE = { dimensions: 3, metric: "dot", precision: "f32" } as const
const query = randomVectors(9, 3)
const keys = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`)

/** The keys that a search of `memory` finds. */
const search = (memory: Searchable, keep: number, mode = 0): ReadonlyArray<string> => {
  const choice = { mode, keep, rerank: 0, nprobe: undefined, recall: undefined }
  const { reader, result } = hitList({ rows: memory, scope: () => NO_NAMESPACE }, keep)
  searchInPlace({ memory, cost: new ScanCost([0, 0, 0]), choice, queries: query, count: 1, reader })
  return result().map(({ key }) => key)
}

/** Kernels that count searches and call `after` when the first is done. */
const interrupted = (after: () => void) => {
  let searches = 0
  const counting: Kernels = {
    ...kernels,
    search: (...args) => {
      const result = kernels.search(...args)
      if (++searches === 1) after()
      return result
    }
  }
  return { kernels: counting, searches: () => searches }
}

/** The store as another thread would see it. */
const attachTo = (store: Store): AttachedMemory & Disposable => {
  const { port1, port2 } = new MessageChannel()
  const unsubscribe = store.onGrowth((handle) => port1.postMessage(handle))
  const memory = new AttachedMemory(kernels, structuredClone(store.handle()), store.directory.newReader(), port2)
  return Object.assign(memory, {
    [Symbol.dispose]: () => {
      unsubscribe()
      port1.close()
    }
  })
}

const find = (memory: AttachedMemory, key: string): number => memory.find(encodeKey(key)!)

/** Gives a store new codes, which hold nothing yet: a scan of them is not one of its rows. */
const replaceCodes = (store: Store): void =>
  store.switchCodes(
    { ...store.codes.encoder, id: store.codes.encoder.id + 1 },
    store.segments.map(() => newCodeColumn(SHAPE))
  )

test("a search under which the codes are replaced is run again", () => {
  const { kernels: counting, searches } = interrupted(() => replaceCodes(store))
  const store: Store = newStore(counting, SHAPE)
  put(store, keys(10), 1)
  search(store, 5, 2)
  assert.equal(searches(), 2)
  search(store, 5, 2)
  assert.equal(searches(), 3)
})

test("a search of lists that may have moved into newer blocks is run again", () => {
  const { kernels: counting, searches } = interrupted(() => store.announce())
  const store: Store = newStore(counting, SHAPE)
  put(store, keys(40), 1)
  listAll(store, 4)
  search(store, 5, 3)
  assert.equal(searches(), 2)
  search(store, 5, 3)
  assert.equal(searches(), 3)
})

test("codes that are replaced just after a reader caught up are noticed", () => {
  const store = newStore(kernels, SHAPE)
  put(store, keys(10), 1)
  using memory = attachTo(store)
  let syncs = 0
  let versions = 0
  const late: Searchable = Object.create(memory, {
    sync: {
      value: () => {
        memory.sync()
        versions = memory.handle().codes.version
        if (++syncs === 1) replaceCodes(store)
      }
    }
  })
  Object.defineProperty(late, "columns", { get: () => memory.columns })
  search(late, 5, 2)
  assert.equal(versions, store.directory.codeSet, "the answer came from codes that were out of force")
})

test("a hit that vanishes in mid-search is made up for", () => {
  const { kernels: counting, searches } = interrupted(() => {
    for (const key of before.slice(0, 3)) drop(store, key)
  })
  const store: Store = newStore(counting, SHAPE)
  put(store, keys(10), 1)
  const plain = newStore(kernels, SHAPE)
  put(plain, keys(10), 1)
  const before = search(plain, 10)
  assert.deepEqual(search(store, 5), before.slice(3, 8))
  assert.equal(searches(), 2)
})

test("candidates that the scan itself dropped, because they were being replaced, are made up for", () => {
  let searches = 0
  const dropping: Kernels = {
    ...kernels,
    search: (...args) => {
      const result = kernels.search(...args)
      if (++searches > 1) return result
      args[4].counts[0] = 2
      put(store, ["new"], 5)
      return result
    }
  }
  const store: Store = newStore(dropping, SHAPE)
  put(store, keys(10), 1)
  assert.equal(search(store, 5).length, 5)
  assert.equal(searches, 2)
})

test("a search that finds fewer rows than there are is not run again when nothing changed", () => {
  const { kernels: counting, searches } = interrupted(() => undefined)
  const store = newStore(counting, SHAPE)
  put(store, keys(4), 1)
  assert.equal(search(store, 10).length, 4)
  assert.equal(searches(), 1)
})

test("a key in a segment that the reader has not seen yet is found", () => {
  const store = newStore(kernels, SHAPE)
  put(store, keys(10), 1)
  using memory = attachTo(store)
  memory.sync()
  store.unreserve(store.reserve(SLOTS - 10).subarray(0, 0))
  let reads = 0
  Object.defineProperty(memory.directory, "keySequence", {
    get: () => {
      if (++reads === 1) put(store, ["new"], 2)
      return Atomics.load(memory.directory.words, 6)
    }
  })
  assert.equal(find(memory, "new"), SLOTS)
  assert.equal(memory.segments.length, 2)
})

test("a record in a chunk that the reader has not seen yet is read", () => {
  const { kernels: counting } = interrupted(() => undefined)
  const store = newStore(counting, SHAPE)
  put(store, keys(10), 1)
  using memory = attachTo(store)
  memory.sync()
  const payload = { bytes: new Uint8Array(CHUNK_BYTES).fill(7) }
  const key = encodeKey("k3")!
  const row = store.find(key)
  store.replaceRecord(row, store.writeRecord(key, payload))
  const address = memory.segments[0]!.records[row]!
  assert.equal(memory.records.key(address), "k3")
  assert.deepEqual(memory.records.payload(address), payload.bytes)
})

test("a table that was left behind in mid-lookup is not trusted", () => {
  const store = newStore(kernels, SHAPE)
  put(store, keys(40), 1)
  using memory = attachTo(store)
  memory.sync()
  let reads = 0
  Object.defineProperty(memory.directory, "keySequence", {
    get: () => {
      // Grown and moved as a whole between the reader's view of the tables and its lookup.
      if (++reads === 1) {
        store.reserve(1000)
        while (store.stepKeys());
      }
      return Atomics.load(memory.directory.words, 6)
    }
  })
  assert.equal(find(memory, "k17"), store.find(encodeKey("k17")!))
})

test("every change of the key index shows in the key sequence, and leaves it even", () => {
  const store = newStore(kernels, SHAPE)
  put(store, keys(1000), 1)
  const moves = [
    () => store.reserve(2000),
    () => store.stepKeys(),
    () => put(store, ["new"], 1),
    () => put(store, ["new"], 2),
    () => drop(store, "new")
  ]
  for (const move of moves) {
    const before = store.directory.keySequence
    move()
    assert.ok(store.directory.keySequence > before)
    assert.equal(store.directory.keySequence % 2, 0)
  }
})

test("payloads that are replaced over and over take the space of a few", () => {
  const store = newStore(kernels, SHAPE)
  put(store, ["a"], 1)
  const key = encodeKey("a")!
  for (let i = 0; i < 10_000; i++) {
    const bytes = encodeKey("a")!
    store.replaceRecord(store.find(key), store.writeRecord(bytes, { json: `${1000 + (i % 9000)}` }))
  }
  assert.ok(store.records.touchedBytes < 10_000, `${store.records.touchedBytes} bytes for one record`)
})
