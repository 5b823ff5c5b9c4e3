/** The graph of mode hnsw through collections: options, building, searching meanwhile, images and fallbacks. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { kernels } from "../src/core/native.ts"
import { METRICS, type Metric, type Precision } from "../src/core/store/layout.ts"
import { attach, type Collection, type CollectionOptions, open, type SabineError } from "../src/index.ts"
import { clustered, keysOf, recallOf } from "./clusters.ts"

const D = 24
const native = { skip: kernels.graph === undefined && "there is no addon" }

const failsWith = (tag: SabineError["_tag"], parameter?: string) => (error: unknown) => {
  assert.equal((error as SabineError)._tag, tag)
  if (parameter !== undefined) assert.equal((error as { readonly parameter: string }).parameter, parameter)
  return true
}

const fill = async (collection: Collection, from: number, to: number): Promise<void> => {
  const vectors = clustered(1, to, D).subarray(from * D)
  await collection.addMany({ keys: keysOf(from, to), vectors })
}

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-graph-"))
})
after(() => rm(folder, { recursive: true }))

describe("options", () => {
  test("what is out of bounds is an InvalidParameter that names the option", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const wrong: ReadonlyArray<readonly [string, CollectionOptions["index"]]> = [
      ["index", "tree" as "hnsw"],
      ["index", {}],
      ["index.hnsw", { hnsw: 7 as unknown as object }],
      ...[3, 65, 4.5].map((M) => ["index.hnsw.M", { hnsw: { M } }] as const),
      ...[0, 4097].map((efConstruction) => ["index.hnsw.efConstruction", { hnsw: { efConstruction } }] as const),
      ...[-1, 2 ** 32].map((seed) => ["index.hnsw.seed", { hnsw: { seed } }] as const)
    ]
    for (const [parameter, index] of wrong) {
      await assert.rejects(db.collection("c", { dimensions: D, index }), failsWith("InvalidParameter", parameter))
    }
    await assert.rejects(
      db.collection("c", { dimensions: D, precision: "none", index: "hnsw" }),
      failsWith("InvalidParameter", "index")
    )
    const none = await db.collection("c", { dimensions: D })
    await none.buildIndex()
  })

  test("an empty collection has nothing to build and nothing to find", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
    await collection.buildIndex()
    assert.deepEqual(await collection.search(clustered(2, 1, D), { mode: "hnsw" }), [])
    await collection.add({ key: "a", vector: clustered(2, 1, D) })
    assert.equal((await collection.search(clustered(2, 1, D), { mode: "hnsw" }))[0]?.key, "a")
    await collection.buildIndex()
    assert.equal((await collection.search(clustered(2, 1, D), { mode: "hnsw", k: 100 })).length, 1)
    await collection.delete("a")
    assert.deepEqual(await collection.search(clustered(2, 1, D), { mode: "hnsw" }), [])
  })
})

test("without a graph mode hnsw answers as flat does", async () => {
  await using db = await open(":memory:", { threads: 1 })
  for (const precision of ["f32", "none"] as const) {
    const collection = await db.collection(precision, { dimensions: D, precision })
    await fill(collection, 0, 500)
    const queries = clustered(3, 20, D)
    assert.deepEqual(
      await collection.searchMany(queries, { mode: "hnsw" }),
      await collection.searchMany(queries, { mode: "flat" })
    )
  }
})

test("a graph finds what exact finds, by every metric and precision", native, async () => {
  await using db = await open(":memory:")
  for (const metric of METRICS as ReadonlyArray<Metric>) {
    for (const precision of ["f32", "f16", "int8"] as ReadonlyArray<Precision>) {
      const options: CollectionOptions = { dimensions: D, metric, precision, index: { hnsw: { M: 12 } } }
      const collection = await db.collection(`${metric}-${precision}`, options)
      await fill(collection, 0, 5000)
      const seen: Array<number> = []
      await collection.buildIndex({ onProgress: (linked) => seen.push(linked) })
      assert.deepEqual(collection.stats().hnsw, {
        state: "complete",
        M: 12,
        efConstruction: 200,
        seed: 42,
        linked: 5000,
        pending: 0
      })
      const recall = await recallOf(collection, clustered(4, 50, D), { mode: "hnsw" })
      assert.ok(recall > 0.97, `${metric} ${precision}: ${recall}`)
      const scores = await collection.searchMany(clustered(4, 50, D), { mode: "hnsw" })
      const exact = await collection.searchMany(clustered(4, 50, D), { mode: "exact" })
      assert.equal(scores.scores[0], exact.scores[0], "scores are those of stored vectors")
    }
  }
})

test("k beyond the rows returns them all, and k beyond efSearch is enough of them", native, async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
  await fill(collection, 0, 900)
  await collection.buildIndex()
  const all = await collection.search(clustered(5, 1, D), { mode: "hnsw", k: 1024 })
  assert.equal(new Set(all.map(({ key }) => key)).size, 900)
  assert.equal((await collection.search(clustered(5, 1, D), { mode: "hnsw", k: 200, efSearch: 10 })).length, 200)
})

test("copies of one vector, and a collection of nothing but deleted entries", native, async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: 2, index: "hnsw" })
  await collection.addMany(keysOf(0, 5000).map((key) => ({ key, vector: [3, 4] })))
  await collection.buildIndex()
  const hits = await collection.search([3, 4], { mode: "hnsw", k: 300 })
  assert.equal(hits.length, 300)
  assert.ok(hits.every(({ score }) => score === hits[0]!.score))
  for (const key of keysOf(0, 5000)) await collection.delete(key)
  assert.deepEqual(await collection.search([3, 4], { mode: "hnsw" }), [])
})

test("rows are found before they are linked, and the index follows in the background", native, async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
  await fill(collection, 0, 6000)
  await collection.buildIndex()
  for (let from = 6000; from < 7000; from += 100) {
    await fill(collection, from, from + 100)
    const own = clustered(1, from + 100, D).subarray((from + 99) * D)
    assert.equal((await collection.search(own, { mode: "hnsw", k: 1 }))[0]?.key, `k${from + 99}`)
    const recall = await recallOf(collection, clustered(6, 20, D), { mode: "hnsw" })
    assert.ok(recall > 0.97, `${from}: ${recall}`)
  }
  await collection.buildIndex()
  assert.equal(collection.stats().hnsw?.linked, 7000)
})

test("deleting half, repairing and filling the slots again keep recall", native, async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
  await fill(collection, 0, 6000)
  await collection.buildIndex()
  const queries = clustered(7, 50, D)
  const check = async (name: string) => {
    const recall = await recallOf(collection, queries, { mode: "hnsw" })
    assert.ok(recall > 0.96, `${name}: ${recall}`)
  }
  for (let i = 0; i < 6000; i += 2) await collection.delete(`k${i}`)
  await check("half deleted")
  await collection.buildIndex()
  await check("repaired")
  const vectors = clustered(8, 6000, D)
  for (let i = 0; i < 6000; i += 2) {
    await collection.add({ key: `k${i}`, vector: vectors.subarray(i * D, (i + 1) * D) })
  }
  await check("filled again")
  await collection.buildIndex()
  await check("linked again")
  for (let i = 1; i < 6000; i += 2) {
    await collection.update({ key: `k${i}`, vector: vectors.subarray(i * D, (i + 1) * D) })
  }
  await collection.buildIndex()
  await check("updated")
})

test("one thread and a seed build the same graph: the same answers at any efSearch", native, async () => {
  const answers = await Promise.all(
    [0, 1].map(async () => {
      await using db = await open(":memory:", { threads: 1 })
      const collection = await db.collection("c", { dimensions: D, index: { hnsw: { M: 4, efConstruction: 8 } } })
      await fill(collection, 0, 4000)
      await collection.buildIndex()
      return await collection.searchMany(clustered(9, 100, D), { mode: "hnsw", efSearch: 10 })
    })
  )
  assert.deepEqual(answers[0], answers[1])
})

test("a call to build can be cancelled, and another one ends what is left", native, async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
  await fill(collection, 0, 4000)
  const controller = new AbortController()
  const building = collection.buildIndex({ signal: controller.signal, onProgress: () => controller.abort() })
  await assert.rejects(building, failsWith("Cancelled"))
  assert.ok(collection.stats().hnsw!.pending > 0)
  await collection.buildIndex()
  assert.equal(collection.stats().hnsw!.pending, 0)
})

test("a graph is saved, comes back, and goes on growing", native, async () => {
  const queries = clustered(10, 30, D)
  let saved: unknown
  {
    await using db = await open(folder, { threads: 2 })
    const collection = await db.collection("c", { dimensions: D, index: { hnsw: { M: 8, seed: 7 } } })
    await fill(collection, 0, 5000)
    await collection.buildIndex()
    for (let i = 0; i < 500; i++) await collection.delete(`k${i}`)
    saved = await collection.searchMany(queries, { mode: "hnsw" })
    await db.save()
  }
  {
    await using db = await open(folder, { threads: 2 })
    const collection = await db.collection("c")
    await db.save()
    await fill(collection, 5000, 5300)
    await collection.buildIndex()
    const { linked, pending, M, seed } = collection.stats().hnsw!
    assert.deepEqual({ pending, M, seed }, { pending: 0, M: 8, seed: 7 })
    assert.ok(linked >= 4800 && linked <= 5300, `${linked}`)
    for (const key of keysOf(5000, 5300)) await collection.delete(key)
    assert.deepEqual(await collection.searchMany(queries, { mode: "hnsw" }), saved)
    await db.save()
  }
  await using db = await open(folder, { threads: 2 })
  const collection = await db.collection("c", { index: "none" })
  assert.equal(collection.stats().hnsw, undefined)
})

test("attached threads walk the graph that the owner makes later", native, async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions: D, index: "hnsw" })
  const { handle, transferList } = collection.share()
  await using attached = attach(structuredClone(handle, { transfer: [...transferList] }))
  await fill(collection, 0, 5000)
  await collection.buildIndex()
  const queries = clustered(11, 20, D)
  assert.deepEqual(
    await attached.searchMany(queries, { mode: "hnsw" }),
    await collection.searchMany(queries, { mode: "hnsw" })
  )
})

test("filters, least scores and diverse hits go with a walk, at every share that passes", native, async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: D, index: "hnsw", fields: { number: "number" } })
  const rows = 6000
  const vectors = clustered(1, rows, D)
  await collection.addMany(
    keysOf(0, rows).map((key, i) => ({
      key,
      vector: vectors.subarray(i * D, (i + 1) * D),
      fields: { number: (i * 7919) % rows }
    }))
  )
  await collection.buildIndex()
  const query = clustered(12, 1, D)
  for (const below of [rows, 5000, 3100, 1500, 300, 12, 1, 0]) {
    const filter = { number: { lt: below } }
    const exact = await collection.search(query, { mode: "exact", k: 20, filter })
    const found = await collection.search(query, { mode: "hnsw", k: 20, filter })
    assert.equal(found.length, Math.min(20, below))
    const nearest = new Set(exact.map(({ key }) => key))
    assert.ok(found.filter(({ key }) => nearest.has(key)).length >= 0.9 * found.length, `${below}`)
  }
  const exact = await collection.search(query, { mode: "exact", k: 50 })
  const minScore = exact[25]!.score
  const above = await collection.search(query, { mode: "hnsw", k: 100, minScore })
  assert.ok(above.length >= 24 && above.every(({ score }) => score >= minScore))
  const mmr = { lambda: 0.5, fetchK: 200 }
  const diverse = await collection.search(query, { mode: "hnsw", mmr, efSearch: 400 })
  assert.deepEqual(diverse, await collection.search(query, { mode: "exact", mmr }))
})
