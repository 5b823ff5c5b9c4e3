/** The semantic cache: look-ups of 100,000 entries, many callers, memory, and what eviction policies keep. */
import { type CacheOptions, nearestVerifier, type SemanticCache, semanticCache } from "../src/cache.ts"
import { open } from "../src/index.ts"
import type { Measured } from "./figure.ts"
import { rowCounts, type Setting } from "./setting.ts"
import { interleave, milliseconds, ratio } from "./timing.ts"
import { DIMENSIONS as TRACE_DIMENSIONS, WORKLOADS } from "./workloads.ts"

export const about = "the semantic cache: latency, callers, memory, and hit rates of eviction policies"

const ENTRIES = 100_000
const DIMENSIONS = 256
/** Requests that wait for one another's writes while a cache is filled. */
const AT_ONCE = 64
/** Scopes of the same size, of which one is searched. */
const SCOPES = 100

/** Texts are made up: what the learned verifier takes for real ones is told by its own bench. */
const verifier = nearestVerifier()

const asked = (scope: number, prompt: string) => ({ model: `model ${scope}`, prompt })

const randomVector = (): Float32Array => Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5)

/** Fills a cache, and returns the vectors of some of its entries by their numbers. */
const fill = async (cache: SemanticCache, entries: number, scopes: number): Promise<Map<number, Float32Array>> => {
  const known = new Map<number, Float32Array>()
  for (let from = 0; from < entries; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, entries - from) }, (_, i) => {
      const vector = randomVector()
      if ((from + i) % 101 === 0) known.set(from + i, vector)
      const request = asked((from + i) % scopes, `question ${from + i}`)
      return cache.set(request, `answer ${from + i}`, { vector })
    })
    await Promise.all(batch)
  }
  return known
}

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for (const entries of rowCounts(setting, ENTRIES)) {
    yield* latencies(entries, 1)
    yield* latencies(entries, SCOPES)
    yield* memory(entries)
  }
  yield* callers()
  yield* hitRates()
}

async function* latencies(entries: number, scopes: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { dimensions: DIMENSIONS, verifier })
  const known = [...(await fill(cache, entries, scopes))]
  const strangers = Array.from({ length: 500 }, randomVector)
  let turn = 0
  const nearest = () => {
    const [number, vector] = known[turn++ % known.length]!
    return cache.get(asked(number % scopes, `other words ${turn}`), { vector })
  }
  const { exact, hit, miss } = await interleave({
    exact: () => cache.get(asked(turn % scopes, `question ${turn++ % entries}`)),
    hit: nearest,
    miss: () =>
      cache.get(asked(turn % scopes, `other words ${turn}`), { vector: strangers[turn++ % strangers.length]! })
  })
  const where = scopes === 1 ? `${entries} entries in one scope` : `${entries} entries in ${scopes} scopes`
  const target = scopes === 1 ? "under 200 us" : "under 150 us"
  const peer = { against: "the published binary cache, 580 us a hit and 850 us a miss", target }
  yield { case: `exact hit, ${where}, p50`, value: exact.p50, unit: "us" }
  yield { case: `semantic hit, vector given, ${where}, p50`, value: hit.p50, unit: "us", ...peer, ratio: 580 / hit.p50 }
  yield {
    case: `semantic miss, vector given, ${where}, p50`,
    value: miss.p50,
    unit: "us",
    ...peer,
    ratio: 850 / miss.p50
  }
  yield { case: `semantic hit over exact hit, ${where}`, value: ratio(hit, exact), unit: "x" }
}

/** Bytes an entry beside keys and payloads, of a cache that keeps no vectors. */
async function* memory(entries: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { dimensions: DIMENSIONS, verifier, precision: "none" })
  await fill(cache, entries, 1)
  const collection = await db.collection("cache")
  const { bytes, columns } = collection.stats()
  const value = (bytes.touched - columns["records"]!.touched) / entries
  yield {
    case: `memory beside keys and answers, ${entries} entries without vectors`,
    value,
    unit: "B/entry",
    target: "50"
  }
}

const CALLERS = 32
const CALLED_ENTRIES = 10_000
const CALLS = 6400

/** What a program does without a cache like this: every entry is compared, one caller at a time. */
const mapAndScan = (vectors: ReadonlyArray<Float32Array>) => {
  const entries = vectors.map((vector, i) => ({ vector, answer: `answer ${i}` }))
  let mutex: Promise<unknown> = Promise.resolve()
  const guarded = <A>(work: () => A): Promise<A> => {
    const result = mutex.then(work)
    mutex = result
    return result
  }
  const dot = (a: Float32Array, b: Float32Array): number => {
    let sum = 0
    for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
    return sum
  }
  return {
    get: (vector: Float32Array) =>
      guarded(() => {
        let [best, answer] = [-1, ""]
        for (const entry of entries) {
          const score = dot(vector, entry.vector)
          if (score > best) [best, answer] = [score, entry.answer]
        }
        return best > 0.9 ? answer : undefined
      }),
    set: (vector: Float32Array, answer: string) => guarded(() => entries.push({ vector, answer }))
  }
}

/** 32 callers at once, a fifth of whose calls write. */
async function* callers(): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { dimensions: DIMENSIONS, verifier })
  await fill(cache, CALLED_ENTRIES, 1)
  const peer = mapAndScan(Array.from({ length: CALLED_ENTRIES }, randomVector))
  const run = async (call: (i: number) => Promise<unknown>, calls: number): Promise<number> => {
    let next = 0
    const caller = async () => {
      while (next < calls) await call(next++)
    }
    return (1000 * calls) / (await milliseconds(() => Promise.all(Array.from({ length: CALLERS }, caller))))
  }
  const vectors = Array.from({ length: 500 }, randomVector)
  const vector = (i: number) => vectors[i % vectors.length]!
  const ours = await run(
    (i) =>
      i % 5 === 0
        ? cache.set(asked(0, `new ${i}`), "new", { vector: vector(i) })
        : cache.get(asked(0, `other ${i}`), { vector: vector(i) }),
    CALLS
  )
  const theirs = await run((i) => (i % 5 === 0 ? peer.set(vector(i), "new") : peer.get(vector(i))), CALLS / 32)
  yield {
    case: `${CALLERS} callers, a fifth writing, ${CALLED_ENTRIES} entries`,
    value: ours,
    unit: "calls/s",
    against: "a Map behind a mutex, scanned in JS",
    ratio: ours / theirs,
    target: "10 x"
  }
}

const QUESTIONS = 20_000
const CAPACITY = 500
const NAMES = ["diversity", "lru", "lfu", "fifo"] as const

/** Share of questions that are answered from a cache that holds a small part of them. */
async function* hitRates(): AsyncGenerator<Measured> {
  for (const { name, questions } of WORKLOADS) {
    const rates = new Map<string, number>()
    for (const eviction of NAMES) {
      let now = 0
      const options: CacheOptions = {
        dimensions: TRACE_DIMENSIONS,
        verifier,
        threshold: 0.88,
        maxEntries: CAPACITY,
        eviction,
        clock: () => ++now
      }
      await using db = await open(":memory:")
      await using cache = await semanticCache(db, options)
      let hits = 0
      for (const { intent, text, vector } of questions(QUESTIONS)) {
        const found = await cache.get({ prompt: text }, { vector })
        if (found.isHit) hits++
        else await cache.set({ prompt: text }, intent, { vector })
      }
      rates.set(eviction, hits / QUESTIONS)
    }
    const best = Math.max(rates.get("lru")!, rates.get("lfu")!)
    for (const eviction of NAMES) {
      const value = 100 * rates.get(eviction)!
      const against =
        eviction === "diversity" ? { against: "the better of lru and lfu", ratio: value / 100 / best } : {}
      yield { case: `hits, ${eviction}, ${name}`, value, unit: "%", ...against }
    }
  }
}
