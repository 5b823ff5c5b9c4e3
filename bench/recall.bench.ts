/** The recall pool beside a plain linear scan of its embeddings, and what each of its parts costs. */
import { kernels } from "../src/core/native.ts"
import { open } from "../src/index.ts"
import { chromaticEncoder, type RecallPool, recallPool, tensorFromSeed } from "../src/recall.ts"
import { CHOOSING_ROWS, choosing } from "./choosing.ts"
import { dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import type { Stress } from "./fresh/recall-stress-items.ts"
import { inFreshProcess } from "./fresh.ts"
import type { Setting } from "./setting.ts"
import { interleave, median, ratio } from "./timing.ts"

export const about =
  "a recall pool: retrieval beside a linear scan, mmr, spectra, the query cache, memory and a stress of threads"

const D = 384
const SIZES = [100, 500, 1000, 5000, 10_000, 100_000]
const K = 10
/** Items that a retrieval returns when it does not say. */
const USUAL_K = 3
const CENTRES = 200
const LINEAR = "a linear scan"
const STRESS_ITEMS = 50_000
/** The default, and one that a seventh of the items must give way under. */
const USUAL_BUDGET_MB = 500
const TIGHT_BUDGET_MB = 45

/** Numbers from -1 to 1 that are the same for one seed. */
const noise = (seed: number, count: number): Float32Array => Float32Array.from({ length: count }, mulberry(seed))

function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1
  }
}

/** Embeddings of length 1 in clusters, as those of texts are. */
const clustered = (seed: number, count: number): Float32Array => {
  const centres = noise(1, CENTRES * D)
  const all = noise(seed, count * D)
  for (let i = 0; i < count; i++) {
    const centre = ((i * 7919) % CENTRES) * D
    let sum = 0
    for (let c = 0; c < D; c++) {
      const x = centres[centre + c]! + 0.8 * all[i * D + c]!
      all[i * D + c] = x
      sum += x * x
    }
    for (let c = 0; c < D; c++) all[i * D + c] = all[i * D + c]! / Math.sqrt(sum)
  }
  return all
}

const rowsOf = (vectors: Float32Array, dimensions = D): ReadonlyArray<Float32Array> =>
  Array.from({ length: vectors.length / dimensions }, (_, i) => vectors.subarray(i * dimensions, (i + 1) * dimensions))

/** What a pool without an index does: every embedding is scored, the best are kept in order. No item is read. */
const linearScan = (vectors: Float32Array, query: Float32Array, k: number): ReadonlyArray<number> => {
  const best: Array<{ row: number; score: number }> = []
  for (let row = 0; row * D < vectors.length; row++) {
    const from = row * D
    // Four sums, so that one product need not wait for the one before.
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let i = 0; i < D; i += 4) {
      a += vectors[from + i]! * query[i]!
      b += vectors[from + i + 1]! * query[i + 1]!
      c += vectors[from + i + 2]! * query[i + 2]!
      d += vectors[from + i + 3]! * query[i + 3]!
    }
    const score = a + b + c + d
    if (best.length === k && score <= best[k - 1]!.score) continue
    let at = best.length
    while (at > 0 && best[at - 1]!.score < score) at--
    best.splice(at, 0, { row, score })
    if (best.length > k) best.pop()
  }
  return best.map(({ row }) => row)
}

const fill = async (pool: RecallPool, vectors: Float32Array): Promise<void> => {
  const items = rowsOf(vectors).map((embedding, i) => ({
    key: `${i}`,
    embedding,
    class: `class ${i % 8}`,
    utility: ((i * 37) % 101) / 50 - 1,
    payload: { text: `item ${i}` }
  }))
  for (let from = 0; from < items.length; from += 5000) await pool.addMany(items.slice(from, from + 5000))
}

const inTurn = <T>(all: ReadonlyArray<T>, use: (one: T) => unknown) => {
  let next = 0
  return () => use(all[next++ % all.length]!)
}

export async function* figures({ rows, data }: Setting): AsyncGenerator<Measured> {
  const queries = rowsOf(clustered(3, 200))
  for (const size of rows.length > 0 ? rows : SIZES) {
    await using db = await open(":memory:")
    await using pool = await recallPool(db, { dimensions: D, maxSize: Number.POSITIVE_INFINITY, queryCache: false })
    const vectors = clustered(2, size)
    await fill(pool, vectors)
    await pool.buildIndex()
    yield* retrieval(pool, vectors, queries)
    if (size === 10_000) yield* pipeline(pool, queries)
  }
  yield* choosing("vectors in clusters", rowsOf(clustered(2, CHOOSING_ROWS)), queries)
  if (data !== undefined) {
    const { dimensions, base, queries } = await dataset(data, CHOOSING_ROWS)
    for (const { name, vectors } of queries)
      yield* choosing(name, rowsOf(base, dimensions), rowsOf(vectors, dimensions).slice(0, 200))
  }
  yield* spectra()
  yield* queryCache(queries)
  yield* memory()
  yield* stress()
}

async function* retrieval(
  pool: RecallPool,
  vectors: Float32Array,
  queries: ReadonlyArray<Float32Array>
): AsyncGenerator<Measured> {
  const size = vectors.length / D
  const { similar, linear } = await interleave(
    {
      similar: inTurn(queries, (query) => pool.similar(query)),
      linear: inTurn(queries, (query) => linearScan(vectors, query, USUAL_K))
    },
    { rounds: 5, turnMs: size > 50_000 ? 400 : 60 }
  )
  const times = { against: LINEAR, ratio: 1 / ratio(similar, linear) }
  const target = size === 100_000 ? "20 x" : size === 10_000 ? "under 100 us" : "1 x or more"
  yield { case: `similar, ${size} items, p50`, value: similar.p50, unit: "us", target, ...times }
  let met = 0
  for (const query of queries.slice(0, 100)) {
    const wanted = linearScan(vectors, query, K)
    const found = new Set((await pool.similar(query, { k: K })).map(({ key }) => Number(key)))
    met += wanted.filter((row) => found.has(row)).length
  }
  yield { case: `recall, ${size} items`, value: met / (100 * K), unit: "of exact", target: "0.99" }
}

/** Every retrieval, and mmr fast beside exact. */
async function* pipeline(pool: RecallPool, queries: ReadonlyArray<Float32Array>): AsyncGenerator<Measured> {
  const ways = {
    byClass: inTurn(queries, (query) => pool.byClass("class 3", { query, k: K })),
    balanced: inTurn(queries, (query) => pool.balanced(query, { perClass: 2 })),
    byUtility: inTurn(queries, () => pool.byUtility({ k: K })),
    diverse: inTurn(queries, (query) => pool.diverse(query, { k: K })),
    hybrid: inTurn(queries, (query) => pool.hybrid(query, { k: K, class: "class 3" }))
  }
  for (const [name, times] of Object.entries(await interleave(ways))) {
    yield { case: `${name}, 10000 items, p50`, value: times.p50, unit: "us" }
  }
  for (const k of [10, 20, 50]) {
    const options = { k, candidates: 500, lambda: 0.7 }
    const { fast, exact, plain } = await interleave({
      fast: inTurn(queries, (query) => pool.diverse(query, { ...options, fast: true })),
      exact: inTurn(queries, (query) => pool.diverse(query, options)),
      plain: inTurn(queries, (query) => pool.similar(query, { k }))
    })
    const times = { against: "exact", ratio: 1 / ratio(fast, exact) }
    yield { case: `diverse, exact, ${k} of 500, p50`, value: exact.p50, unit: "us" }
    yield { case: `diverse, fast, ${k} of 500, p50`, value: fast.p50, unit: "us", target: "5 x", ...times }
    yield { case: `similar, ${k}, p50`, value: plain.p50, unit: "us" }
    const worth = async (isFast: boolean): Promise<number> => {
      let sum = 0
      for (const query of queries.slice(0, 50)) {
        for (const { score } of await pool.diverse(query, { ...options, fast: isFast })) sum += score
      }
      return sum
    }
    const value = (await worth(true)) / (await worth(false))
    yield { case: `objective of fast, ${k} of 500`, value, unit: "of exact", target: "0.98" }
  }
}

async function* spectra(): AsyncGenerator<Measured> {
  const plane = tensorFromSeed(1, { rows: 64, columns: 64 })
  const picture = tensorFromSeed(2, { rows: 64, columns: 64, channels: 3 })
  const out = new Float32Array(8)
  const encoder = chromaticEncoder()
  const spectrum = { entropy: 0.5, dominant: [0.1, 0.2, 0.3], energies: [0.5, 0.3, 0.2], meanPower: 1 } as const
  const { features, ofPicture, encode } = await interleave({
    features: () => kernels.spectralFeatures(plane.data, 64, 64, 1, 1, out),
    ofPicture: () => kernels.spectralFeatures(picture.data, 64, 64, 1, 3, out),
    encode: () => encoder.encode({ tensor: picture, spectrum, utility: 0, bias: 0 })
  })
  yield { case: "spectral features, 64 x 64, p50", value: features.p50, unit: "us", target: "under 60 us" }
  yield { case: "spectral features, 64 x 64 x 3, p50", value: ofPicture.p50, unit: "us" }
  yield { case: "chromatic encoding, 64 x 64 x 3, p50", value: encode.p50, unit: "us" }
}

/** Time of a hit, and shares of hits: the same few again, topics with a long tail, and everything once. */
async function* queryCache(queries: ReadonlyArray<Float32Array>): AsyncGenerator<Measured> {
  const random = mulberry(9)
  const uniform = (): number => (random() + 1) / 2
  let once = 0
  const workloads = {
    "one of 20 again and again": () => Math.floor(20 * uniform()),
    "one of 10,000, the first most often": () => Math.floor(10_000 ** uniform()) - 1,
    "each once": () => once++
  }
  const many = rowsOf(clustered(5, 10_000))
  for (const [name, draw] of Object.entries(workloads)) {
    await using db = await open(":memory:")
    await using pool = await recallPool(db, { dimensions: D })
    await fill(pool, clustered(6, 1000))
    for (let i = 0; i < 5000; i++) await pool.similar(many[draw() % many.length]!)
    const { hits, misses } = pool.stats().queryCache!
    yield { case: `hits, ${name}`, value: hits / (hits + misses), unit: "of all" }
  }
  await using db = await open(":memory:")
  await using pool = await recallPool(db, { dimensions: D })
  await fill(pool, clustered(6, 1000))
  const few = queries.slice(0, 50)
  for (const query of few) await pool.similar(query)
  const { hit } = await interleave({ hit: inTurn(few, (query) => pool.similar(query)) })
  yield { case: "query cache, hit, p50", value: hit.p50, unit: "us", target: "under 2 us" }
}

async function* memory(): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using pool = await recallPool(db, { dimensions: D, precision: "f16", maxSize: 10_000 })
  const vectors = clustered(7, 10_000)
  await fill(pool, vectors)
  const { bytes } = pool.stats().collection
  const orders = 16 * 10_000
  yield { case: "10,000 items of 384 d, f16", value: (bytes.touched + orders) / 1e6, unit: "MB", target: "under 12 MB" }
  yield { case: "as the budget counts them", value: pool.memoryBudgetStats().currentBytes / 1e6, unit: "MB" }
  const extra = rowsOf(clustered(8, 400))
  const adding = async (add: (i: number) => Promise<unknown>): Promise<number> => {
    const times: Array<number> = []
    for (let i = 0; i < 200; i++) {
      const start = performance.now()
      await add(i)
      times.push((performance.now() - start) * 1000)
    }
    return median(times)
  }
  const value = await adding((i) => pool.add({ key: `new ${i}`, embedding: extra[i]! }))
  yield { case: "add to a full pool, the oldest gives way, p50", value, unit: "us" }
  const judged = await adding((i) => pool.addIfCoherent({ key: `judged ${i}`, embedding: extra[200 + i]! }))
  yield { case: "add to a full pool if coherent, p50", value: judged, unit: "us" }
  const { stats } = await interleave({ stats: () => pool.memoryBudgetStats() })
  yield { case: "memoryBudgetStats, p50", value: stats.p50, unit: "us" }
}

/** Four threads that add 50,000 items and retrieve, in a process of its own: with room for all, and with room for most. */
async function* stress(): AsyncGenerator<Measured> {
  for (const budget of [USUAL_BUDGET_MB, TIGHT_BUDGET_MB]) {
    const { printed } = await inFreshProcess<Stress>("recall-stress", `${STRESS_ITEMS}`, `${budget}`)
    const name = `stress of four threads, budget ${budget} MB`
    yield { case: `${name}, lost of ${STRESS_ITEMS}`, value: printed.lost, unit: "items", target: "0" }
    yield { case: `${name}, torn`, value: printed.torn, unit: "scores", target: "0" }
    yield { case: `${name}, found and checked`, value: printed.retrievals, unit: "items" }
    yield { case: `${name}, gave way`, value: printed.evicted, unit: "items" }
    yield { case: `${name}, bytes of items`, value: printed.bytes, unit: "of budget" }
    yield { case: `${name}, RSS, Node and its threads included`, value: printed.peak, unit: "of budget", target: "1.2" }
    yield { case: `${name}, RSS before the first item`, value: printed.baseline, unit: "of budget" }
  }
}
