/** Searches: bounds, one answer however they are run, and cancelling. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { synsets } from "../examples/wordnet/glosses.ts"
import { kernels } from "../src/core/native.ts"
import { merge, newHits } from "../src/core/search/hits.ts"
import { choose, plan, shard } from "../src/core/search/plan.ts"
import { AttachedMemory } from "../src/core/store/attach.ts"
import { Directory } from "../src/core/store/directory.ts"
import { PRECISIONS, type Precision } from "../src/core/store/layout.ts"
import {
  type Collection,
  type Database,
  DeadlineExceeded,
  open,
  type SearchOptions,
  staticEmbedder
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { newStore } from "./stores.ts"
import { turnsOf } from "./turns.ts"

const keys = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `k${i}`)

/** Components that repeat, so that scores tie. */
const coarse = (seed: number, length: number): Float32Array =>
  randomVectors(seed, length).map((x) => Math.round(2 * x) || 1)

const collectionOf = async (
  db: Database,
  rows: number,
  dimensions: number,
  precision: Precision = "f32"
): Promise<Collection> => {
  const collection = await db.collection(`c-${rows}-${dimensions}-${precision}`, {
    dimensions,
    metric: "dot",
    precision,
    index: "none"
  })
  await collection.addMany({ keys: keys(rows), vectors: coarse(1, rows * dimensions) })
  return collection
}

/** Whether no search holds an epoch. */
const isFree = (collection: Collection): boolean => {
  const directory = new Directory(collection.share().handle.memory.directory)
  const { epoch } = directory
  return directory.advance() === epoch
}

describe("options", () => {
  const shape = { dimensions: 3, metric: "cosine", precision: "f32" } as const

  test("defaults", () => {
    const settled = (options: SearchOptions, precision: Precision = "f32") => {
      const store = newStore(kernels, { ...shape, precision })
      const { mode, keep, rerank, nprobe } = plan(choose(options, store.shape), store.columns, 5000, 0)
      return { mode, keep, rerank, nprobe }
    }
    assert.deepEqual(settled({}), { mode: 1, keep: 10, rerank: 128, nprobe: 0 })
    assert.deepEqual(settled({ k: 1024 }), { mode: 1, keep: 1024, rerank: 10_240, nprobe: 0 })
    assert.deepEqual(settled({ mode: "binary" }), { mode: 2, keep: 10, rerank: 0, nprobe: 0 })
    assert.deepEqual(settled({ mode: "exact", rerank: 50 }), { mode: 0, keep: 10, rerank: 0, nprobe: 0 })
    assert.deepEqual(settled({ mode: "ivf", nprobe: 5 }), { mode: 1, keep: 10, rerank: 128, nprobe: 0 })
    assert.deepEqual(settled({ mode: "hnsw", efSearch: 5 }), { mode: 1, keep: 10, rerank: 128, nprobe: 0 })
    assert.deepEqual(settled({}, "none"), { mode: 1, keep: 10, rerank: 0, nprobe: 0 })
    assert.deepEqual(settled({ k: 20, rerank: 5 }), { mode: 1, keep: 20, rerank: 20, nprobe: 0 })
    assert.deepEqual(settled({ recall: 0.9 }), { mode: 0, keep: 10, rerank: 0, nprobe: 0 }, "nothing was measured")
  })

  const WRONG: ReadonlyArray<readonly [field: string, options: SearchOptions]> = [
    ...[0, -1, 1.5, 1025, Number.NaN, Number.POSITIVE_INFINITY, "10" as unknown as number].map(
      (k) => ["k", { k }] as const
    ),
    ...[-1, 0.5, 16_385, Number.NaN].map((rerank) => ["rerank", { rerank }] as const),
    ...[0, 4097, 1.5].map((efSearch) => ["efSearch", { efSearch }] as const),
    ["mode", { mode: "near" as "flat" }],
    ["nprobe", { mode: "ivf", nprobe: 0 }],
    ...[0.4, 1.01, Number.NaN, "high" as unknown as number].map((recall) => ["recall", { recall }] as const),
    ["recall", { recall: 0.9, mode: "flat" }],
    ["rerank", { recall: 0.9, rerank: 10 }],
    ["nprobe", { recall: 0.9, nprobe: 4 }],
    ["efSearch", { recall: 0.9, efSearch: 64 }]
  ]

  test("everything out of bounds is an InvalidParameter that names the option", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 10, 3)
    for (const [field, options] of WRONG) {
      await assert.rejects(collection.search([1, 2, 3], options), failsWith("InvalidParameter", field))
      await assert.rejects(
        collection.searchMany(Float32Array.of(1, 2, 3), options),
        failsWith("InvalidParameter", field)
      )
    }
    const coded = await collectionOf(db, 10, 3, "none")
    await assert.rejects(coded.search([1, 2, 3], { mode: "exact" }), failsWith("InvalidParameter", "mode"))
    await assert.rejects(coded.search([1, 2, 3], { rerank: 1 }), failsWith("InvalidParameter", "rerank"))
    await assert.rejects(coded.search([1, 2, 3], { recall: 0.9 }), failsWith("InvalidParameter", "recall"))
  })

  test("queries are checked as vectors are", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 10, 3)
    await assert.rejects(collection.search([1, 2]), failsWith("DimensionMismatch"))
    await assert.rejects(collection.search([0, 0, 0]), failsWith("InvalidVector"))
    await assert.rejects(collection.search("text"), failsWith("NoEmbedder"))
    await assert.rejects(collection.searchMany(["text"]), failsWith("NoEmbedder"))
    await assert.rejects(collection.searchMany(Float32Array.of(1, 2, 3, 4)), failsWith("DimensionMismatch"))
    await assert.rejects(collection.searchMany(Float32Array.of(1, 2, 3, 1, Number.NaN, 1)), (error) => {
      failsWith("InvalidVector")(error)
      assert.equal((error as { readonly index: number }).index, 1)
      return true
    })
    assert.deepEqual((await collection.searchMany(new Float32Array())).counts, new Uint32Array())
  })

  test("a batch of many queries is made ours in turns, and checked as others are", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 10, 3)
    const queries = randomVectors(2, 3 * 400_000)
    queries[3 * 300_000] = Number.NaN
    const fault = { _tag: "InvalidVector", index: 300_000, reason: "not-a-number" }
    const turns = await turnsOf(() => assert.rejects(collection.searchMany(queries), fault))
    assert.ok(turns >= 5, `${turns} turns`)
    await assert.rejects(collection.searchMany(queries.subarray(1)), failsWith("DimensionMismatch"))
    await assert.rejects(
      collection.searchMany(queries, null as unknown as SearchOptions),
      failsWith("InvalidParameter")
    )
    await assert.rejects(collection.search("text", null as unknown as SearchOptions), failsWith("InvalidParameter"))
    const taken = queries.slice()
    await turnsOf(() => {
      const searching = collection.searchMany(taken)
      setImmediate(() => structuredClone(taken.buffer, { transfer: [taken.buffer] }))
      return assert.rejects(searching, failsWith("InvalidParameter", "queries"))
    })
    const good = queries.subarray(0, 3 * 50_000)
    const { keys } = await collection.searchMany(good, { k: 1, mode: "exact" })
    const last = await collection.search(good.subarray(-3), { k: 1, mode: "exact" })
    assert.deepEqual([keys.length, keys.at(-1)], [50_000, last[0]!.key])
  })

  test("a batch of no queries finds nothing and teaches nothing about costs", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 9000, 8)
    for (let i = 0; i < 3000; i++) {
      const { keys, counts } = await collection.searchMany(new Float32Array(0))
      assert.equal(keys.length + counts.length, 0)
    }
    assert.equal((await collection.search(coarse(3, 8), { k: 3 })).length, 3)
  })

  test("an empty collection has no hits, before and after it had a row", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await db.collection("empty", { dimensions: 2 })
    assert.deepEqual(await collection.search([1, 0]), [])
    await collection.add({ key: "a", vector: [1, 0] })
    await collection.delete("a")
    assert.deepEqual(await collection.search([1, 0]), [])
  })

  test("threads are 1 to 256", async () => {
    for (const threads of [0, -1, 1.5, 257, Number.NaN]) {
      await assert.rejects(open(":memory:", { threads }), failsWith("InvalidParameter", "threads"))
    }
  })
})

test("shards merged are one scan, for every mode, precision and number of shards", async () => {
  await using db = await open(":memory:", { threads: 1 })
  for (const precision of PRECISIONS) {
    const dimensions = 5
    const collection = await collectionOf(db, 3000, dimensions, precision)
    for (let i = 0; i < 3000; i += 7) await collection.delete(`k${i}`)
    const { handle } = collection.share()
    const memory = new AttachedMemory(kernels, handle.memory, handle.reader, handle.port)
    const queries = coarse(2, 3 * dimensions)
    for (const mode of precision === "none" ? (["flat", "binary"] as const) : (["exact", "flat", "binary"] as const)) {
      for (const rerank of precision === "none" || mode === "exact" ? [0] : [0, 30, 500]) {
        const claim = memory.directory.claim(memory.reader)
        const whole = plan(
          choose({ k: 25, mode, rerank }, memory.shape),
          memory.columns,
          3000,
          memory.directory.cancelWord(claim)
        )
        const run = (part: typeof whole) => {
          const hits = newHits(3, part.keep)
          kernels.search(part, memory.columns, queries, memory.directory.words, hits)
          return hits
        }
        const one = run(whole)
        for (const shards of [1, 2, 3, 7]) {
          const parts = Array.from({ length: shards }, (_, i) => run(shard(whole, i, shards)))
          assert.deepEqual(await merge(parts, whole, 3), one, `${precision} ${mode} ${rerank} in ${shards}`)
        }
        memory.directory.release(claim, memory.reader)
      }
    }
    handle.port.close()
  }
})

test("the pool answers as the calling thread does, whatever the number of threads", async () => {
  const dimensions = 64
  const rows = 12_000
  const queries = coarse(3, 40 * dimensions)
  const answers: Array<unknown> = []
  for (const threads of [1, 3]) {
    await using db = await open(":memory:", { threads })
    const collection = await collectionOf(db, rows, dimensions)
    for (const mode of ["exact", "flat", "binary"] as const) {
      const many = await collection.searchMany(queries, { k: 20, mode })
      const again = await collection.searchMany(queries, { k: 20, mode })
      assert.deepEqual(again, many)
      for (let q = 0; q < 40; q += 13) {
        const hits = await collection.search(queries.subarray(q * dimensions, (q + 1) * dimensions), { k: 20, mode })
        assert.deepEqual(
          hits.map(({ key }) => key),
          many.keys.slice(q * 20, (q + 1) * 20)
        )
        assert.deepEqual(
          Float32Array.from(hits, ({ score }) => score),
          many.scores.slice(q * 20, (q + 1) * 20)
        )
      }
      answers.push(many)
    }
  }
  assert.deepEqual(answers.slice(3), answers.slice(0, 3))
})

test("ties go to the older row", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("ties", { dimensions: 2 })
  await collection.addMany(keys(200).map((key) => ({ key, vector: [3, 4] })))
  for (const mode of ["exact", "flat", "binary"] as const) {
    const hits = await collection.search([3, 4], { k: 50, mode })
    assert.deepEqual(
      hits.map(({ key }) => key),
      keys(50)
    )
  }
})

test("flat finds what exact finds on real text", async () => {
  await using db = await open(":memory:")
  const embedder = staticEmbedder()
  const glosses = (await synsets()).filter((_, i) => i % 23 === 0).slice(0, 5000)
  const collection = await db.collection("glosses", { embedder })
  await collection.addMany(glosses.map(({ key, gloss }) => ({ key, text: gloss })))
  assert.equal(collection.stats().encoder, "itq")
  const queries = (await synsets()).filter((_, i) => i % 1151 === 7).map(({ gloss }) => gloss)
  const k = 10
  const exact = await collection.searchMany(queries, { k, mode: "exact" })
  const recall = async (options: SearchOptions) => {
    const found = await collection.searchMany(queries, { k, ...options })
    const hits = queries.map((_, q) => {
      const wanted = new Set(exact.keys.slice(q * k, (q + 1) * k))
      return found.keys.slice(q * k, (q + 1) * k).filter((key) => wanted.has(key)).length
    })
    return hits.reduce((sum, n) => sum + n, 0) / (queries.length * k)
  }
  const flat = await recall({})
  assert.ok(flat >= 0.98, `recall of flat is ${flat}`)
  const estimates = await recall({ rerank: 0 })
  assert.ok(estimates >= 0.6, `recall of the estimates is ${estimates}`)
})

describe("cancelling", () => {
  /** Long enough for the pool, and to be cancelled in the middle. */
  const ROWS = 8000
  const DIMENSIONS = 128
  const QUERIES = 2048

  test("before the search begins", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 10, 3)
    await assert.rejects(collection.search([1, 2, 3], { signal: AbortSignal.abort() }), failsWith("Cancelled"))
    assert.ok(isFree(collection))
  })

  test("while the pool searches: the claim is released and the next search is right", async () => {
    await using db = await open(":memory:", { threads: 2 })
    const collection = await collectionOf(db, ROWS, DIMENSIONS)
    // What runs in the background holds claims too.
    await collection.buildIndex()
    const queries = coarse(5, QUERIES * DIMENSIONS)
    const whole = await collection.searchMany(queries.subarray(0, DIMENSIONS), { mode: "exact" })
    for (const wait of [0, 1, 5]) {
      const controller = new AbortController()
      const search = collection.searchMany(queries, { mode: "exact", signal: controller.signal })
      const rejected = assert.rejects(search, failsWith("Cancelled"))
      await setTimeout(wait)
      assert.equal(isFree(collection), false, "the search had not begun")
      controller.abort()
      await rejected
      assert.ok(isFree(collection), "a cancelled search kept its claim")
    }
    assert.deepEqual(await collection.searchMany(queries.subarray(0, DIMENSIONS), { mode: "exact" }), whole)
  })

  test("while diverse hits are chosen, which takes most of such a search", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const dimensions = 2048
    const collection = await collectionOf(db, 1200, dimensions)
    await collection.buildIndex()
    const query = coarse(5, dimensions)
    const choose = async (timeout?: number): Promise<number> => {
      const start = performance.now()
      const mmr = { lambda: 0.1, fetchK: 1024 }
      const search = collection.search(query, { mode: "exact", k: 512, mmr, ...(timeout && { timeout }) })
      if (timeout === undefined) await search
      else await assert.rejects(search, DeadlineExceeded)
      assert.ok(isFree(collection))
      return performance.now() - start
    }
    const quickest = async (timeout?: number): Promise<number> => {
      const times: Array<number> = []
      for (let i = 0; i < 3; i++) times.push(await choose(timeout))
      return Math.min(...times)
    }
    const whole = await quickest()
    const stopped = await quickest(Math.ceil(whole / 8))
    assert.ok(stopped < whole / 2, `${stopped} of ${whole} ms`)
  })

  test("by a deadline: the claim is released and the next search is right", async () => {
    await using db = await open(":memory:", { threads: 2 })
    const collection = await collectionOf(db, ROWS, DIMENSIONS)
    // What the engine measures in the background has a claim of its own.
    await collection.buildIndex()
    const queries = coarse(5, QUERIES * DIMENSIONS)
    const whole = await collection.searchMany(queries.subarray(0, DIMENSIONS), { mode: "exact" })
    const late = collection.searchMany(queries, { mode: "exact", timeout: 1 })
    await assert.rejects(late, (error) => {
      assert.ok(error instanceof DeadlineExceeded)
      assert.deepEqual([error.ms, error.status, error.retryable], [1, 504, true])
      return true
    })
    assert.ok(isFree(collection))
    const inTime = await collection.searchMany(queries.subarray(0, DIMENSIONS), { mode: "exact", timeout: 60_000 })
    assert.deepEqual(inTime, whole)
    for (const timeout of [0, 0.5, 2 ** 31]) {
      await assert.rejects(collection.search([1], { timeout }), failsWith("InvalidParameter", "timeout"))
    }
  })

  test("an embedder that takes too long counts towards the deadline", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const never = { id: "never", dimensions: 3, embed: () => new Promise<Float32Array>(() => undefined) }
    const collection = await db.collection("c", { embedder: never })
    await collection.add({ key: "a", vector: [1, 2, 3] })
    await assert.rejects(collection.search("text", { timeout: 2 }), failsWith("DeadlineExceeded"))
    await assert.rejects(collection.searchMany(["text"], { timeout: 2 }), failsWith("DeadlineExceeded"))
  })

  test("a batch that is being added leaves nothing behind", async () => {
    await using db = await open(":memory:", { threads: 2 })
    const collection = await db.collection("c", { dimensions: DIMENSIONS, metric: "dot" })
    await collection.add({ key: "first", vector: coarse(1, DIMENSIONS) })
    const vectors = coarse(1, ROWS * DIMENSIONS)
    const controller = new AbortController()
    const added = collection.addMany({ keys: keys(ROWS), vectors }, { signal: controller.signal })
    const rejected = assert.rejects(added, failsWith("Cancelled"))
    await setTimeout(2)
    controller.abort()
    await rejected
    assert.equal(collection.size(), 1)
    assert.equal(await collection.has("k0"), false)
    await collection.addMany({ keys: keys(ROWS), vectors })
    assert.equal(collection.size(), ROWS + 1)
    assert.ok(collection.stats().rows <= 2 * ROWS + 1)
  })
})

describe("diverse hits and least scores", () => {
  test("are checked as options are", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await collectionOf(db, 10, 3)
    const wrong: ReadonlyArray<readonly [field: string, options: SearchOptions]> = [
      ["minScore", { minScore: Number.NaN }],
      ["minScore", { minScore: "0.5" as unknown as number }],
      ["mmr", { mmr: true as unknown as object }],
      ["mmr.lambda", { mmr: { lambda: 1.1 } }],
      ["mmr.lambda", { mmr: { lambda: Number.NaN } }],
      ["mmr.fetchK", { k: 20, mmr: { fetchK: 19 } }],
      ["mmr.fetchK", { mmr: { fetchK: 1025 } }],
      ["mmr.fast", { mmr: { fast: 1 as unknown as boolean } }]
    ]
    for (const [field, options] of wrong) {
      await assert.rejects(collection.search([1, 2, 3], options), failsWith("InvalidParameter", field))
    }
    const coded = await collectionOf(db, 10, 3, "none")
    await assert.rejects(coded.search([1, 2, 3], { mmr: {} }), failsWith("InvalidParameter", "mmr"))
  })

  test("unlike hits come before near ones that repeat what was chosen", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const items = await db.collection("items", { dimensions: 2 })
    const at = (degrees: number) => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
    for (const degrees of [1, 2, 3, -40, 50]) await items.add({ key: `${degrees}`, vector: at(degrees) })
    const keysOf = async (options: SearchOptions) => (await items.search(at(0), options)).map(({ key }) => key)
    assert.deepEqual(await keysOf({ k: 3 }), ["1", "2", "3"])
    assert.deepEqual(await keysOf({ k: 3, mmr: { lambda: 1 } }), ["1", "2", "3"])
    assert.deepEqual(await keysOf({ k: 3, mmr: { lambda: 0.4 } }), ["1", "50", "-40"])
    assert.deepEqual(await keysOf({ k: 3, mmr: { lambda: 0.4, fetchK: 3 } }), ["1", "2", "3"])
    const many = await items.searchMany(Float32Array.from([...at(0), ...at(0)]), { k: 3, mmr: { lambda: 0.4 } })
    assert.deepEqual(many.keys, ["1", "50", "-40", "1", "50", "-40"])
  })

  test("a least score returns all that is so near, and nothing else, in every mode and metric", async () => {
    await using db = await open(":memory:", { threads: 2 })
    const dimensions = 16
    const rows = 3000
    for (const metric of ["cosine", "dot", "l2"] as const) {
      const items = await db.collection(metric, { dimensions, metric })
      await items.addMany({ keys: keys(rows), vectors: randomVectors(3, rows * dimensions) })
      for (const seed of [4, 5, 6]) {
        const query = randomVectors(seed, dimensions)
        const all = await items.search(query, { mode: "exact", k: 1024 })
        for (const place of [0, 1, 20, 500]) {
          const minScore = all[place]!.score
          const expected = all.filter(({ score }) => score >= minScore)
          assert.deepEqual(await items.search(query, { mode: "exact", k: 1024, minScore }), expected)
          for (const mode of ["flat", "auto"] as const) {
            const found = await items.search(query, { mode, k: 1024, minScore, rerank: 3000 })
            // Codes of 16 components err by more than those that the margin is made for.
            const near = new Set(expected.map(({ key }) => key))
            assert.ok(found.every(({ key, score }) => near.has(key) && score >= minScore))
            assert.ok(found.length >= 0.9 * expected.length, `${metric} ${mode} ${found.length} of ${expected.length}`)
          }
        }
        const nothing = all[0]!.score + 1
        assert.deepEqual(await items.search(query, { minScore: nothing }), [])
        const coded = await items.search(query, { mode: "binary", k: 1024 })
        const half = coded[500]!.score
        assert.deepEqual(
          await items.search(query, { mode: "binary", k: 1024, minScore: half }),
          coded.filter(({ score }) => score >= half)
        )
      }
    }
  })

  test("a least score misses none of real sentences beyond the margin", async () => {
    await using db = await open(":memory:", { threads: 2 })
    const embedder = staticEmbedder()
    const items = await db.collection("glosses", { embedder })
    const glosses = (await synsets()).map(({ gloss }) => gloss)
    const texts = glosses.filter((_, i) => i % 12 === 0)
    await items.addMany({ keys: keys(texts.length), vectors: await embedder.embed(texts) })
    await items.buildIndex()
    let wanted = 0
    let missed = 0
    for (const text of glosses.filter((_, i) => i % 600 === 1)) {
      for (const minScore of [0.6, 0.7, 0.8]) {
        const near = await items.search(text, { mode: "exact", k: 1024, minScore })
        const found = new Set((await items.search(text, { mode: "flat", k: 1024, minScore })).map(({ key }) => key))
        wanted += near.length
        missed += near.filter(({ key }) => !found.has(key)).length
      }
    }
    assert.ok(wanted > 400, `${wanted} are too few to tell`)
    assert.ok(missed <= 0.01 * wanted, `${missed} of ${wanted} missed`)
  })
})
