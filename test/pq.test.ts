/** Collections of product codes: before and after training, with and without vectors, on every thread, saved and reopened. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { synsets } from "../examples/wordnet/glosses.ts"
import { kernels } from "../src/core/native.ts"
import { merge, newHits } from "../src/core/search/hits.ts"
import { choose, plan, shard } from "../src/core/search/plan.ts"
import { AttachedMemory } from "../src/core/store/attach.ts"
import { METRICS } from "../src/core/store/layout.ts"
import {
  attach,
  type Collection,
  type CollectionOptions,
  type Database,
  open,
  type SearchOptions,
  staticEmbedder
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { randomVectors } from "./property/kernels/random.ts"

const DIMENSIONS = 24
const PQ = { codes: { pq: { m: 6 } } } as const

const keys = (count: number, from = 0): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `k${from + i}`)

/** Points about 40 centres, which no seed but the first changes. */
const clustered = (seed: number, rows: number, dimensions = DIMENSIONS): Float32Array => {
  const centres = randomVectors(77, 40 * dimensions)
  const bits = randomVectors(seed + 1000, rows)
  return randomVectors(seed, rows * dimensions).map((x, i) => {
    const centre = Math.floor(Math.abs(bits[Math.floor(i / dimensions)]!) * 1e6) % 40
    return centres[centre * dimensions + (i % dimensions)]! + x / 4
  })
}

const rowOf = (vectors: Float32Array, row: number): Float32Array =>
  vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS)

/** Share of the `k` nearest of `queries` that a search of these options finds. */
const recall = async (collection: Collection, exact: Collection, queries: Float32Array, options: SearchOptions) => {
  const wanted = await exact.searchMany(queries, { k: 10, mode: "exact" })
  const found = await collection.searchMany(queries, { k: 10, ...options })
  let hits = 0
  for (let q = 0; q < wanted.counts.length; q++) {
    const truth = new Set(wanted.keys.slice(q * 10, (q + 1) * 10))
    hits += found.keys.slice(q * 10, (q + 1) * 10).filter((key) => truth.has(key)).length
  }
  return hits / wanted.keys.length
}

test("options of product codes have bounds", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const made = (dimensions: number, pq: object | undefined) =>
    db.collection("c", { dimensions, codes: { pq } } as unknown as CollectionOptions)
  await assert.rejects(made(24, { m: 3 }), failsWith("InvalidParameter", "codes.pq.m"))
  await assert.rejects(made(24, { m: 13 }), failsWith("InvalidParameter", "codes.pq.m"))
  await assert.rejects(made(24, { m: 4.5 }), failsWith("InvalidParameter", "codes.pq.m"))
  await assert.rejects(made(24, { m: 5, bits: 4 }), failsWith("InvalidParameter", "codes.pq.m"))
  await assert.rejects(made(24, { m: 4, bits: 6 }), failsWith("InvalidParameter", "codes.pq.bits"))
  await assert.rejects(made(24, undefined), failsWith("InvalidParameter", "codes.pq"))
  await assert.rejects(made(7, { m: 4 }), failsWith("InvalidParameter", "codes.pq"))
  const collection = await made(9, { m: 4 })
  assert.deepEqual(collection.shape.codes, { pq: { m: 4, bits: 8, rotation: "auto" } })
  await assert.rejects(made(9, { m: 4, bits: 4 }), failsWith("CollectionMismatch"))
  await assert.rejects(db.collection("c", { codes: "trained" }), failsWith("CollectionMismatch"))
  assert.equal((await made(9, { m: 4, bits: 8 })).name, "c")
})

test("each mode takes the codes that it names", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const products = await db.collection("products", { dimensions: DIMENSIONS, ...PQ })
  const signs = await db.collection("signs", { dimensions: DIMENSIONS })
  const query = clustered(1, 1)
  for (const mode of ["flat", "binary"] as const) {
    await assert.rejects(products.search(query, { mode }), failsWith("InvalidParameter", "mode"))
  }
  await assert.rejects(signs.search(query, { mode: "pq" }), failsWith("InvalidParameter", "mode"))
  await signs.add({ key: "a", vector: query })
  await assert.rejects(signs.reconstruct("a"), failsWith("InvalidParameter", "codes"))
  const published = await db.collection("published", { dimensions: DIMENSIONS, codes: "published" })
  await assert.rejects(published.train(clustered(1, 300)), failsWith("InvalidParameter", "codes"))
  const shape = { dimensions: DIMENSIONS, metric: "cosine", precision: "f32", pq: { m: 6, bits: 8 } } as const
  assert.throws(() => choose({ mode: "hnsw" }, shape), failsWith("InvalidParameter", "mode"))
  assert.equal(choose({ mode: "pq" }, shape).mode, 5)
  assert.equal(choose({ mode: "ivf" }, shape).mode, 3)
  for (const index of ["hnsw", { ivf: {}, hnsw: {} }] as const) {
    const indexed = db.collection("indexed", { dimensions: DIMENSIONS, ...PQ, index })
    await assert.rejects(indexed, failsWith("InvalidParameter", "index"))
  }
})

for (const metric of METRICS) {
  test(`rows make the codebook, searches are right before and after: ${metric}`, async () => {
    await using db = await open(":memory:", { threads: 2 })
    const collection = await db.collection("c", { dimensions: DIMENSIONS, metric, ...PQ })
    const vectors = clustered(1, 4000)
    const queries = clustered(2, 50)
    await collection.addMany({ keys: keys(2000), vectors: vectors.subarray(0, 2000 * DIMENSIONS) })
    assert.equal(collection.stats().distortion, undefined)
    await assert.rejects(collection.reconstruct("k1"), failsWith("NotTrained"))
    // Nothing is trained: every vector is scored, whatever is asked for.
    assert.equal(await recall(collection, collection, queries, { mode: "pq", rerank: 0 }), 1)
    for (let i = 2000; i < 2048; i++) await collection.add({ key: `k${i}`, vector: rowOf(vectors, i) })
    while (collection.stats().distortion === undefined) await setTimeout(5)
    assert.ok(collection.stats().distortion! < 0.5, `distortion ${collection.stats().distortion}`)
    await collection.addMany({ keys: keys(1952, 2048), vectors: vectors.subarray(2048 * DIMENSIONS) })
    const whole = await recall(collection, collection, queries, { mode: "pq" })
    assert.ok(whole >= 0.95, `recall with rerank ${whole}`)
    const codes = await recall(collection, collection, queries, { mode: "pq", rerank: 0 })
    assert.ok(codes >= 0.3 && codes < 1, `recall of codes ${codes}`)
    // A row is written anew with the codebook in force.
    await collection.update({ key: "k7", vector: rowOf(queries, 0) })
    const [hit] = await collection.search(rowOf(queries, 0), { k: 1, mode: "pq" })
    // An inner product is largest with long vectors, not with the query's own.
    if (metric !== "dot") assert.equal(hit?.key, "k7")
  })
}

test("the engine takes product codes, and scores vectors where a recall is out of their reach", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const rows = 6000
  const collection = await db.collection("c", { dimensions: DIMENSIONS, ...PQ, index: "none" })
  await collection.addMany({ keys: keys(rows), vectors: clustered(1, rows) })
  await collection.buildIndex()
  const { calibration, lists } = collection.stats()
  assert.equal(lists, 0)
  assert.ok(calibration?.curves.every(({ settings }) => settings.every((s) => s.mode === 5)))
  const queries = clustered(2, 100)
  assert.ok((await recall(collection, collection, queries, { recall: 0.9 })) >= 0.87)
  assert.equal(await recall(collection, collection, queries, { recall: 1 }), 1)
  const codes = await db.collection("codes", { dimensions: DIMENSIONS, precision: "none", ...PQ })
  await codes.train(clustered(1, 1000))
  await codes.addMany({ keys: keys(2000), vectors: clustered(1, 2000) })
  assert.equal((await codes.search(rowOf(queries, 0))).length, 10)
})

for (const [bits, rotation] of [
  [4, "none"],
  [8, "opq"]
] as const) {
  test(`product codes in inverted lists: written, drifted, saved, reopened and attached, ${bits} bits`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sabine-pq-lists-"))
    t.after(() => rm(folder, { recursive: true }))
    const shape = { dimensions: DIMENSIONS, codes: { pq: { m: 6, bits, rotation } }, index: "ivf" } as const
    const queries = clustered(2, 60)
    const assertFound = async (collection: Collection) => {
      const all = await recall(collection, collection, queries, { mode: "ivf", nprobe: 2 ** 16, rerank: 4096 })
      assert.equal(all, 1)
      const flat = await recall(collection, collection, queries, { mode: "pq" })
      const few = await recall(collection, collection, queries, { mode: "ivf", nprobe: 8 })
      assert.ok(few >= 0.6 * flat, `${few} of ${flat} in 8 lists`)
      const above = await collection.search(rowOf(queries, 0), { k: 100, minScore: 0.8 })
      const exact = await collection.search(rowOf(queries, 0), { k: 100, minScore: 0.8, mode: "exact" })
      assert.ok(above.length >= 0.9 * exact.length && above.every(({ score }) => score >= 0.8))
    }
    {
      await using db = await open(folder, { threads: 2 })
      const collection = await db.collection("c", shape)
      await collection.addMany({ keys: keys(5000), vectors: clustered(1, 5000) })
      await collection.buildIndex()
      const { lists, calibration } = collection.stats()
      assert.ok(lists > 16, `${lists} lists`)
      assert.ok(calibration?.curves.some(({ settings }) => settings.some(({ mode }) => mode === 3)))
      await assertFound(collection)
      for (const level of [0.9, 0.95]) {
        const reached = await recall(collection, collection, queries, { recall: level })
        assert.ok(reached >= level - 0.03, `${reached} of ${level}`)
      }
      for (const key of keys(2500)) await collection.delete(key)
      await collection.addMany({ keys: keys(2000, 8000), vectors: clustered(3, 2000) })
      for (let i = 2500; i < 2600; i++) {
        await collection.update({ key: `k${i}`, vector: rowOf(clustered(4, 100), i - 2500) })
      }
      await assertFound(collection)
      await db.save()
    }
    await using db = await open(folder, { threads: 2 })
    const collection = await db.collection("c")
    assert.ok(collection.stats().lists > 16)
    await assertFound(collection)
    await collection.compact()
    await assertFound(collection)
    const shared = collection.share()
    await using attached = await attach(shared.handle)
    assert.deepEqual(
      await attached.search(rowOf(queries, 1), { mode: "ivf", nprobe: 4 }),
      await collection.search(rowOf(queries, 1), { mode: "ivf", nprobe: 4 })
    )
  })
}

test("codes alone are found in lists, as a scan of all ranks them", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const shape = { dimensions: DIMENSIONS, precision: "none", ...PQ, index: "ivf" } as const
  const collection = await db.collection("codes", shape)
  await collection.train(clustered(1, 2000))
  await collection.addMany({ keys: keys(4000), vectors: clustered(1, 4000) })
  await collection.buildIndex()
  assert.ok(collection.stats().lists > 16)
  for (let i = 0; i < 20; i++) {
    const query = rowOf(clustered(2, 20), i)
    const all = await collection.search(query, { mode: "ivf", nprobe: 2 ** 16 })
    assert.deepEqual(all, await collection.search(query, { mode: "pq" }))
  }
})

test("a store without vectors keeps codes alone: 1,536 bytes to 8", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const dimensions = 384
  const vectors = clustered(1, 4096, dimensions)
  const shape = { dimensions, precision: "none", codes: { pq: { m: 8, bits: 8 } } } as const
  const collection = await db.collection("codes", shape)
  assert.deepEqual(await collection.search(vectors.subarray(0, dimensions)), [])
  await assert.rejects(collection.add({ key: "a", vector: vectors.subarray(0, dimensions) }), failsWith("NotTrained"))
  await assert.rejects(collection.addMany({ keys: keys(4096), vectors }), failsWith("NotTrained"))
  assert.equal(collection.stats().rows, 0)
  await collection.train(vectors.subarray(0, 1000 * dimensions))
  await collection.addMany({ keys: keys(4096), vectors })
  const { columns } = collection.stats()
  const full = await db.collection("full", { dimensions })
  await full.addMany({ keys: keys(4096), vectors })
  assert.equal(full.stats().columns["vectors"]!.touched, 4096 * 1536)
  assert.equal(columns["codes"]!.touched, 4096 * 8)
  assert.ok(!("vectors" in columns || "factors" in columns))
  await assert.rejects(collection.train(vectors), failsWith("InvalidParameter", "precision"))
})

test("train takes a sample: checked, with progress, cancelled, and again where vectors are kept", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("c", { dimensions: DIMENSIONS, ...PQ })
  const sample = clustered(5, 3000)
  const train = (given: unknown) => collection.train(given as Float32Array)
  await assert.rejects(train(sample.subarray(0, 255 * DIMENSIONS)), failsWith("InvalidParameter", "sample"))
  await assert.rejects(train([1, 2]), failsWith("InvalidParameter", "sample"))
  await assert.rejects(train(sample.subarray(1)), failsWith("DimensionMismatch"))
  await assert.rejects(train(new Float32Array(300 * DIMENSIONS)), failsWith("InvalidVector"))
  await assert.rejects(collection.train(sample, { signal: AbortSignal.abort() }), failsWith("Cancelled"))
  const changed = sample.slice()
  const adding = collection.addMany({ keys: keys(9, 600), vectors: clustered(2, 9) })
  const changing = assert.rejects(train(changed), failsWith("InvalidVector"))
  changed.fill(Number.POSITIVE_INFINITY, 700 * DIMENSIONS)
  await Promise.all([adding, changing])
  const controller = new AbortController()
  const cancelled = assert.rejects(
    collection.train(sample, { signal: controller.signal, onProgress: () => controller.abort() }),
    failsWith("Cancelled")
  )
  await cancelled
  assert.equal(collection.stats().distortion, undefined)

  const vectors = clustered(1, 500)
  await collection.addMany({ keys: keys(500), vectors })
  const seen: Array<number> = []
  await collection.train(sample, { onProgress: (fraction) => seen.push(fraction) })
  assert.ok(seen.length > 1 && seen.every((fraction) => fraction > 0 && fraction <= 1))
  const first = collection.stats().distortion!
  const before = await collection.approximateDistance(rowOf(vectors, 3), "k3")
  // Of other vectors than are stored: worse for those that are.
  await collection.train(randomVectors(9, 3000 * DIMENSIONS))
  const after = await collection.approximateDistance(rowOf(vectors, 3), "k3")
  assert.ok(before !== undefined && after !== undefined && after > before, `${after} after ${before}`)
  assert.notEqual(collection.stats().distortion, first)
  assert.equal(await recall(collection, collection, vectors, { mode: "pq", rerank: 500 }), 1)
})

test("a codebook of few rows is trained again when there are many", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions: DIMENSIONS, ...PQ })
  const vectors = clustered(1, 18_500)
  const add = (from: number, to: number) =>
    collection.addMany({
      keys: keys(to - from, from),
      vectors: vectors.subarray(from * DIMENSIONS, to * DIMENSIONS)
    })
  await add(0, 2048)
  const { distortion } = collection.stats()
  for (let from = 2048; from < 18_432; from += 2048) await add(from, from + 2048)
  while (collection.stats().distortion === distortion) await setTimeout(5)
  assert.ok(collection.stats().distortion! < distortion!, `${collection.stats().distortion} after ${distortion}`)
  await add(18_432, 18_500)
  assert.equal(collection.size(), 18_500)
  const found = await recall(collection, collection, clustered(4, 50), { mode: "pq" })
  assert.ok(found >= 0.8, `recall ${found}`)
})

test("a code stands for a vector whose distance is what a search ranks by", async () => {
  await using db = await open(":memory:", { threads: 1 })
  for (const metric of METRICS) {
    const collection = await db.collection(metric, { dimensions: DIMENSIONS, metric, precision: "none", ...PQ })
    const vectors = clustered(1, 1000)
    await collection.train(vectors)
    await collection.addMany({ keys: keys(1000), vectors })
    const query = clustered(2, 1)
    for (const { key, score } of await collection.search(query, { k: 20 })) {
      const distance = await collection.approximateDistance(query, key)
      const decoded = await collection.reconstruct(key)
      const length = metric === "cosine" ? Math.hypot(...query) : 1
      const q = query.map((x) => x / length)
      const squared = decoded!.reduce((sum, x, i) => sum + (x - q[i]!) ** 2, 0)
      const dot = decoded!.reduce((sum, x, i) => sum + x * q[i]!, 0)
      const similarity = dot + 0.375 * (1 - decoded!.reduce((sum, x) => sum + x * x, 0))
      const expected = { cosine: 1 - similarity, dot: -dot, l2: squared }[metric]
      assert.ok(Math.abs(distance! - expected) < 1e-4 * (1 + Math.abs(expected)))
      const fromScore = metric === "cosine" ? 1 - score : -score
      assert.ok(Math.abs(distance! - fromScore) < 1e-4 * (1 + Math.abs(expected)), `${distance} for ${fromScore}`)
    }
    assert.equal(await collection.reconstruct("nobody"), undefined)
    assert.equal(await collection.approximateDistance(query, "nobody"), undefined)
    await assert.rejects(collection.approximateDistance(new Float32Array(3), "k1"), failsWith("DimensionMismatch"))
  }
})

test("filters hold over product codes, whether few rows pass or many", async () => {
  await using db = await open(":memory:", { threads: 1 })
  for (const precision of ["f32", "none"] as const) {
    const collection = await db.collection(precision, {
      dimensions: DIMENSIONS,
      precision,
      fields: { n: "number" },
      ...PQ
    })
    await collection.train(clustered(1, 1000))
    const vectors = clustered(1, 3000)
    const fields = { n: Array.from({ length: 3000 }, (_, i) => i) }
    await collection.addMany({ keys: keys(3000), vectors, fields })
    const query = clustered(2, 1)
    const whole = await collection.search(query, { k: 1000, mode: "pq", rerank: 3000 })
    for (const lt of [1, 7, 300, 2500]) {
      const found = await collection.search(query, { k: 10, mode: "pq", rerank: 3000, filter: { n: { lt } } })
      const wanted = whole.filter(({ key }) => Number(key.slice(1)) < lt)
      assert.equal(found.length, Math.min(10, lt))
      assert.deepEqual(
        found.slice(0, wanted.length).map(({ key }) => key),
        wanted.slice(0, 10).map(({ key }) => key)
      )
    }
  }
})

const pooled = async (db: Database, precision: "f16" | "none", bits: 4 | 8): Promise<Collection> => {
  const collection = await db.collection(`${precision} ${bits}`.replace(" ", "-"), {
    dimensions: DIMENSIONS,
    precision,
    codes: { pq: { m: 6, bits } }
  })
  await collection.train(clustered(1, 1000))
  await collection.addMany({ keys: keys(12_000), vectors: clustered(1, 12_000) })
  for (let i = 0; i < 12_000; i += 7) await collection.delete(`k${i}`)
  return collection
}

test("batches, shards and the pool answer as one scan does", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const queries = clustered(3, 40)
  for (const precision of ["f16", "none"] as const) {
    for (const bits of [4, 8] as const) {
      const collection = await pooled(db, precision, bits)
      const many = await collection.searchMany(queries, { k: 20, mode: "pq" })
      for (let q = 0; q < 40; q += 13) {
        const hits = await collection.search(rowOf(queries, q), { k: 20, mode: "pq" })
        assert.deepEqual(
          hits.map(({ key }) => key),
          many.keys.slice(q * 20, (q + 1) * 20)
        )
      }
      const { handle } = collection.share()
      const memory = new AttachedMemory(kernels, handle.memory, handle.reader, handle.port)
      for (const rerank of [0, 30, 500]) {
        const claim = memory.directory.claim(memory.reader)
        const choice = choose({ k: 25, mode: "pq", rerank }, memory.shape)
        const whole = plan(choice, memory.columns, 12_000, memory.directory.cancelWord(claim))
        const run = (part: typeof whole) => {
          const hits = newHits(40, part.keep)
          kernels.search(part, memory.columns, queries, memory.directory.words, hits)
          return hits
        }
        const parts = Array.from({ length: 3 }, (_, i) => run(shard(whole, i, 3)))
        assert.deepEqual(await merge(parts, whole, 40), run(whole))
        memory.directory.release(claim, memory.reader)
      }
      handle.port.close()
    }
  }
})

test("an image brings codes, codebook and distortion back, and attached threads read them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-pq-"))
  try {
    const query = clustered(8, 1)
    const seen = async (collection: Pick<Collection, "search" | "reconstruct">) => ({
      hits: await collection.search(query, { k: 15, mode: "pq" }),
      decoded: await collection.reconstruct("k8")
    })
    for (const precision of ["f16", "none"] as const) {
      for (const bits of [4, 8] as const) {
        const answers: Array<unknown> = []
        for (let round = 0; round < 2; round++) {
          await using db = await open(folder, { threads: 1 })
          const name = `${precision} ${bits}`.replace(" ", "-")
          const collection = round === 0 ? await pooled(db, precision, bits) : await db.collection(name)
          const { handle, transferList } = collection.share()
          await using attached = attach(structuredClone(handle, { transfer: [...transferList] }), { threads: 1 })
          const { codes, distortion } = collection.stats()
          answers.push({ ...(await seen(collection)), codes, distortion })
          assert.deepEqual(await seen(attached), await seen(collection))
          await db.save()
        }
        assert.deepEqual(answers[1], answers[0])
      }
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("searches in flight while codebooks are replaced find what is there", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions: DIMENSIONS, metric: "l2", ...PQ })
  const vectors = clustered(1, 3000)
  await collection.addMany({ keys: keys(3000), vectors })
  let training = true
  const trained = (async () => {
    for (let round = 0; round < 4; round++) await collection.train(clustered(round + 10, 600))
    training = false
  })()
  for (let i = 0; training; i++) {
    const row = (i * 31) % 3000
    const [hit] = await collection.search(rowOf(vectors, row), { k: 1, mode: "pq" })
    assert.equal(hit?.key, `k${row}`)
    await new Promise(setImmediate)
  }
  await trained
})

test("pq finds what exact finds on real text", async () => {
  await using db = await open(":memory:")
  const glosses = (await synsets()).filter((_, i) => i % 23 === 0).slice(0, 5000)
  const collection = await db.collection("glosses", { embedder: staticEmbedder(), codes: { pq: { m: 64, bits: 4 } } })
  await collection.addMany(glosses.map(({ key, gloss }) => ({ key, text: gloss })))
  const queries = (await synsets()).filter((_, i) => i % 1151 === 7).map(({ gloss }) => gloss)
  const exact = await collection.searchMany(queries, { mode: "exact" })
  const found = await collection.searchMany(queries, { mode: "pq" })
  const hits = queries.map((_, q) => {
    const wanted = new Set(exact.keys.slice(q * 10, (q + 1) * 10))
    return found.keys.slice(q * 10, (q + 1) * 10).filter((key) => wanted.has(key)).length
  })
  const share = hits.reduce((sum, n) => sum + n, 0) / (queries.length * 10)
  assert.ok(share >= 0.95, `recall ${share}`)
})
