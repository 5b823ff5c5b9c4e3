/** Compaction gives back what deleted entries take, and changes nothing that can be asked. */
import assert from "node:assert/strict"
import { cp, mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { kernels } from "../src/core/native.ts"
import { initialCost } from "../src/core/search/cost.ts"
import { choose } from "../src/core/search/plan.ts"
import { searchInPlace } from "../src/core/search/search.ts"
import { BLOCK } from "../src/core/store/layout.ts"
import { encodeKey } from "../src/core/store/rows.ts"
import { type Collection, type CollectionOptions, open } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { newStore, put, rowOf } from "./stores.ts"

const DIMENSIONS = 16

const folder = async (t: { after: (end: () => Promise<void>) => void }): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-compaction-"))
  t.after(() => rm(made, { recursive: true }))
  return made
}

const vectorOf = (number: number): Float32Array => randomVectors(number + 1, DIMENSIONS)

const fill = (collection: Collection, count: number, payload: (i: number) => string): Promise<void> => {
  const vectors = new Float32Array(count * DIMENSIONS)
  for (let i = 0; i < count; i++) vectors.set(vectorOf(i), i * DIMENSIONS)
  const numbers = Array.from({ length: count }, (_, i) => i)
  return collection.addMany({ keys: numbers.map(String), vectors, payloads: numbers.map(payload) })
}

const deleteAll = async (collection: Collection, numbers: ReadonlyArray<number>): Promise<void> => {
  for (let i = 0; i < numbers.length; i += 100) {
    await Promise.all(numbers.slice(i, i + 100).map((number) => collection.delete(String(number))))
  }
}

/** Numbers below `count` but every `n`-th. */
const allBut = (n: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => i).filter((i) => i % n !== 0)

/** Checks that exactly these numbers are there, by key, by walk and by search. */
const assertHas = async (collection: Collection, expected: ReadonlyMap<string, unknown>): Promise<void> => {
  const found = new Map<string, unknown>()
  for await (const { key, payload } of collection.entries()) {
    assert.ok(!found.has(key), `${key} was met twice`)
    found.set(key, payload)
  }
  assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()))
  assert.equal(collection.size(), expected.size)
  for (const [key, payload] of expected) assert.deepEqual((await collection.get(key))?.payload, payload)
}

test("bytes in memory and on the disk go down with the entries", async (t) => {
  const path = await folder(t)
  const count = 8000
  const sizeOf = async (name: string) => (await stat(join(path, name))).size
  await using db = await open(path, { threads: 2 })
  const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2", index: "ivf" })
  await fill(collection, count, (i) => `payload ${i} `.repeat(40))
  await collection.buildIndex()
  await db.save()
  await deleteAll(collection, allBut(10, count))
  await db.save()
  const before = collection.stats()
  const filesBefore = (await sizeOf("rows.image")) + (await sizeOf("rows.previous.image"))
  const result = await db.compact()
  const after = collection.stats()
  t.diagnostic(
    `${before.bytes.touched} bytes to ${after.bytes.touched}, rows ${before.rows} to ${after.rows}, ${result.movedRows} moved, disk ${result.freedDiskBytes} less`
  )
  const live = count / 10
  assert.equal(before.rows, count)
  assert.ok(after.rows >= live && after.rows <= live * 1.02 + BLOCK, `${after.rows} slots for ${live} entries`)
  assert.equal(result.freedBytes, before.bytes.touched - after.bytes.touched)
  for (const name of ["vectors", "codes", "generation", "records"]) {
    const ratio = after.columns[name]!.touched / before.columns[name]!.touched
    assert.ok(ratio < 0.11, `${name} is ${ratio} of what it was`)
  }
  assert.ok(after.columns["lists"]!.touched < before.columns["lists"]!.touched / 2)
  const images = await Promise.all(["rows.image", "rows.previous.image"].map(sizeOf))
  assert.ok(images[0]! + images[1]! < 0.25 * filesBefore, `images of ${images} bytes`)
  assert.ok(result.freedDiskBytes > 0.75 * filesBefore)
  assert.equal(await sizeOf("records.sqlite-wal"), 0)
  const hits = await collection.search(vectorOf(0), { k: 1000, mode: "ivf", nprobe: after.lists })
  assert.equal(hits.length, live, "an entry is in no list")
  // What was folded keeps its payloads, once.
  assert.ok((await sizeOf("records.sqlite")) < 2.5 * after.columns["records"]!.touched + 100_000)
  assert.deepEqual(await collection.compact(), { movedRows: 0, movedPayloads: 0, freedBytes: 0, freedDiskBytes: 0 })
})

test("memory that is given back is the system's again", { skip: process.platform !== "linux" }, async () => {
  await using db = await open(":memory:", { threads: 1 })
  // Much beside what the heap of the process grows and shrinks by meanwhile.
  const dimensions = 2048
  const count = 20_000
  const collection = await db.collection("rows", { dimensions, index: "none" })
  const keys = Array.from({ length: count }, (_, i) => String(i))
  await collection.addMany({ keys, vectors: randomVectors(1, count * dimensions) })
  await deleteAll(collection, allBut(20, count))
  global.gc?.()
  const before = process.memoryUsage.rss()
  const { freedBytes } = await collection.compact()
  const given = before - process.memoryUsage.rss()
  assert.ok(freedBytes > 0.9 * count * dimensions * 4)
  if (kernels.isas().length > 1) assert.ok(given > 0.6 * freedBytes, `${given} of ${freedBytes} bytes`)
})

test("a search that an entry was moved under looks again", () => {
  let move: (() => void) | undefined
  const store = newStore(
    {
      ...kernels,
      search: (plan, columns, queries, control, hits, filter) => {
        const half = Math.floor((plan.fromBlock + plan.toBlock) / 2)
        if (move === undefined) return kernels.search(plan, columns, queries, control, hits, filter)
        // The lower half is scanned before the row comes there, and the upper one after it has gone.
        move()
        move = undefined
        return kernels.search({ ...plan, fromBlock: half }, columns, queries, control, hits, filter)
      }
    },
    { dimensions: DIMENSIONS, metric: "l2", precision: "f32" }
  )
  const keys = Array.from({ length: 4 * BLOCK }, (_, i) => `key ${i}`)
  put(store, keys, 3)
  for (const key of keys.slice(0, BLOCK)) store.remove(rowOf(store, key), encodeKey(key)!)
  const wanted = rowOf(store, keys.at(-1)!)
  store.slots.reclaim()
  store.slots.bind(3 * BLOCK)
  const to = store.slots.take()
  move = () => store.moving(() => store.move(wanted, to))
  const queries = randomVectors(3, keys.length * DIMENSIONS).slice(-DIMENSIONS)
  let found: Array<number> = []
  searchInPlace({
    memory: store,
    cost: initialCost(store.shape, true),
    choice: choose({ k: 1, mode: "exact" }, store.shape),
    queries,
    count: 1,
    reader: () => {
      found = []
      return { take: (hits, i) => found.push(hits.rows[i]!), isComplete: () => true }
    }
  })
  assert.deepEqual(found, [to])
  assert.equal(rowOf(store, keys.at(-1)!), to)
})

test("slots are given up only when nobody holds one or has taken one", () => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "l2", precision: "f32" })
  const keys = Array.from({ length: 4 * BLOCK }, (_, i) => `key ${i}`)
  put(store, keys, 3)
  store.slots.bind(3 * BLOCK)
  assert.ok(!store.cut(3 * BLOCK), "rows were cut off")
  const claim = store.directory.claim(store.reader)
  for (const key of keys.slice(2 * BLOCK)) store.remove(rowOf(store, key), encodeKey(key)!)
  store.slots.reclaim()
  assert.ok(!store.cut(3 * BLOCK), "somebody may be reading there")
  store.directory.release(claim, store.reader)
  store.slots.reclaim()
  const rows = store.reserve(BLOCK + 1)
  assert.ok(!store.cut(3 * BLOCK), "more was written than there was room for below")
  store.unreserve(rows)
  store.slots.bind(3 * BLOCK)
  assert.ok(store.cut(3 * BLOCK))
  assert.equal(store.directory.rows, 3 * BLOCK)
  put(store, keys.slice(2 * BLOCK), 4)
  assert.equal(store.directory.rows, 4 * BLOCK)
  assert.equal(store.directory.live, 4 * BLOCK)
})

const SHAPES: ReadonlyArray<CollectionOptions> = [
  { dimensions: DIMENSIONS, metric: "l2", index: "none" },
  { dimensions: DIMENSIONS, metric: "cosine", precision: "f16", index: "ivf", fields: { tag: "tag", year: "number" } },
  { dimensions: DIMENSIONS, metric: "l2", precision: "int8", index: { hnsw: { M: 4, efConstruction: 20 } } },
  { dimensions: DIMENSIONS, metric: "l2", codes: { pq: { m: 4, bits: 4 } } },
  { dimensions: DIMENSIONS, precision: "none" }
]

type Step =
  | { readonly kind: "add" | "delete" | "update"; readonly keys: ReadonlyArray<number> }
  | { readonly kind: "compact" | "save" | "reopen" | "index" }

/** Runs of numbers, so that holes are larger than a block. */
const keys = fc
  .tuple(fc.nat(499), fc.integer({ min: 100, max: 400 }), fc.constantFrom(1, 1, 2, 3))
  .map(([from, count, stride]) => Array.from({ length: count }, (_, i) => (from + i * stride) % 500))
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("add" as const, "delete" as const, "update" as const), keys }),
  fc.record({ kind: fc.constantFrom("compact" as const, "save" as const, "reopen" as const, "index" as const) })
)

test("whatever is written between compactions and during them, and however often it is opened, is what is there", async (t) => {
  let moved = 0
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...SHAPES),
      fc.array(step, { minLength: 4, maxLength: 10 }),
      async (options, steps) => {
        const path = await mkdtemp(join(tmpdir(), "sabine-compaction-"))
        const model = new Map<string, unknown>()
        let version = 0
        let db = await open(path, { threads: 1, snapshots: false })
        let rows = await db.collection("rows", options)
        const entryOf = (number: number) => ({
          key: `${number}`,
          vector: vectorOf(++version),
          payload: { number, version, text: "x".repeat((version * 37) % 900) },
          ...(options.fields && { fields: { tag: `t${number % 5}`, year: number } })
        })
        const write = async ({ kind, keys }: Extract<Step, { keys: unknown }>): Promise<void> => {
          const one = async (number: number): Promise<void> => {
            const entry = entryOf(number)
            const isThere = model.has(entry.key)
            if (kind === "delete") return assert.equal(await rows.delete(entry.key), model.delete(entry.key))
            if ((kind === "add") === isThere) return
            await (kind === "add" ? rows.add(entry) : rows.update(entry))
            model.set(entry.key, entry.payload)
          }
          const numbers = [...new Set(keys)]
          for (let i = 0; i < numbers.length; i += 32) await Promise.all(numbers.slice(i, i + 32).map(one))
        }
        const assertAllFound = async () => {
          const { lists } = rows.stats()
          const all = typeof options.codes === "object" ? "pq" : "flat"
          for (const mode of lists > 0 ? ([all, "ivf"] as const) : [undefined]) {
            const hits = await rows.search(vectorOf(0), { k: 1000, mode, nprobe: mode === "ivf" ? lists : undefined })
            assert.deepEqual(hits.map(({ key }) => key).sort(), [...model.keys()].sort())
          }
        }
        try {
          if (typeof options.codes === "object") await rows.train(randomVectors(1, 300 * DIMENSIONS))
          await write({ kind: "add", keys: Array.from({ length: 500 }, (_, i) => i) })
          for (const [i, next] of steps.entries()) {
            if ("keys" in next) await write(next)
            else if (next.kind === "save") await db.save()
            else if (next.kind === "index") await rows.buildIndex()
            else if (next.kind === "compact") {
              const after = steps[i + 1]
              // Every other one runs beside the writes that follow.
              const beside = i % 2 === 0 && after !== undefined && "keys" in after ? write(after) : undefined
              const [{ movedRows }] = await Promise.all([rows.compact(), beside])
              moved += movedRows
            } else {
              await db.close()
              db = await open(path, { threads: 1, snapshots: false })
              rows = await db.collection("rows", options)
            }
          }
          moved += (await rows.compact()).movedRows
          await assertAllFound()
          await assertHas(rows, model)
          await db.close()
          db = await open(path, { threads: 1 })
          rows = await db.collection("rows", options)
          await assertHas(rows, model)
          if (options.fields !== undefined) {
            for await (const { key, fields } of rows.entries())
              assert.deepEqual(fields, { tag: `t${Number(key) % 5}`, year: Number(key) })
          }
          await assertAllFound()
        } finally {
          await db.close()
          await rm(path, { recursive: true })
        }
      }
    ),
    { numRuns: 12 }
  )
  t.diagnostic(`${moved} rows moved`)
  assert.ok(moved > 100)
})

test("a folder as it is at any moment of a compaction has everything", async (t) => {
  const path = await folder(t)
  const copies = await folder(t)
  const count = 3000
  let db = await open(path, { threads: 1, snapshots: false })
  const rows = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2" })
  await fill(rows, count, String)
  await db.save()
  await deleteAll(rows, allBut(5, count))
  await db.save()
  const expected = new Map(Array.from({ length: count / 5 }, (_, i) => [String(5 * i), String(5 * i)]))
  let isOver = false
  const compacting = db.compact().finally(() => (isOver = true))
  let taken = 0
  while (!isOver && taken < 12) {
    const copy = join(copies, String(taken))
    // What is renamed while it is copied is gone from the copy: such a copy is of no moment.
    const isWhole = await cp(path, copy, { recursive: true }).then(
      () => true,
      () => false
    )
    await rm(join(copy, "lock"), { force: true })
    if (isWhole) taken++
    else await rm(copy, { recursive: true, force: true })
  }
  await compacting
  await db.close()
  for (let i = 0; i < taken; i++) {
    db = await open(join(copies, String(i)), { threads: 1 })
    await assertHas(await db.collection("rows"), expected)
    await db.close()
  }
  t.diagnostic(`${taken} copies`)
})

test("a graph that lost most of its rows finds those that are left, also once it was saved", async (t) => {
  if (kernels.graph === undefined) return
  const path = await folder(t)
  const count = 6000
  const options = { dimensions: DIMENSIONS, metric: "l2", index: { hnsw: { M: 6, efConstruction: 40 } } } as const
  const recallOf = async (collection: Collection) => {
    let found = 0
    for (let i = 0; i < count; i += 40) {
      const [hit] = await collection.search(vectorOf(i), { k: 1, mode: "hnsw", efSearch: 100 })
      if (hit?.key === String(i)) found++
    }
    return found / (count / 40)
  }
  let db = await open(path, { threads: 2 })
  let collection = await db.collection("rows", options)
  await fill(collection, count, String)
  await collection.buildIndex()
  await deleteAll(collection, allBut(4, count))
  await collection.compact()
  const { hnsw, rows, columns } = collection.stats()
  assert.ok(rows < count / 3)
  assert.equal(hnsw?.state, "complete")
  assert.ok(hnsw.linked <= rows)
  assert.ok(columns["graph"]!.touched < columns["graph"]!.allocated / 20)
  assert.ok((await recallOf(collection)) > 0.9)
  await db.close()
  db = await open(path, { threads: 2 })
  collection = await db.collection("rows", options)
  await collection.buildIndex()
  assert.ok((await recallOf(collection)) > 0.9)
  await db.close()
})

test("a compaction that is stopped has done what it did", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2" })
  await fill(collection, 5000, String)
  await deleteAll(collection, allBut(3, 5000))
  const controller = new AbortController()
  const compacting = collection.compact({ signal: controller.signal })
  controller.abort()
  await assert.rejects(compacting, { _tag: "Cancelled" })
  await fill(await db.collection("others", { dimensions: DIMENSIONS }), 10, String)
  const left = Array.from({ length: Math.ceil(5000 / 3) }, (_, i) => String(3 * i))
  await assertHas(collection, new Map(left.map((key) => [key, key])))
  await collection.compact()
  await assertHas(collection, new Map(left.map((key) => [key, key])))
})
