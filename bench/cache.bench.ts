/** The semantic cache: look-ups, texts, memory, many callers, eviction beside look-ups, and what policies keep. */
import { type SemanticCache, semanticCache } from "../src/cache.ts"
import { open, staticEmbedder } from "../src/index.ts"
import { callers } from "./cache-callers.ts"
import { asked, CACHE, DIMENSIONS, fill, randomVector } from "./caching.ts"
import { evicting } from "./evicting.ts"
import type { Measured } from "./figure.ts"
import { gptcacheTimes } from "./gptcache.ts"
import { hitRates } from "./hit-rates.ts"
import { longAnswers } from "./long-answers.ts"
import { sentences } from "./sentences.ts"
import { rowCounts, type Setting } from "./setting.ts"
import { interleave, median, ratio, type Times } from "./timing.ts"

export const about = "the semantic cache: latency, texts, memory, callers, eviction, and hit rates of policies"

const ENTRIES = 100_000
/** Where GPTCache was measured. */
const SMALL = 10_000
/** Scopes of the same size, of which one is searched. */
const SCOPES = 100

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for (const entries of rowCounts(setting, ENTRIES)) {
    yield* latencies(entries, 1)
    yield* latencies(entries, SCOPES)
    yield* texts(entries)
    yield* memory(entries)
    yield* evicting(entries)
  }
  yield* longAnswers()
  yield* besideGptcache()
  yield* callers()
  yield* hitRates()
}

/** Look-ups whose vector is given: exact, hits and misses. */
const measured = async (cache: SemanticCache, entries: number, scopes: number) => {
  const known = [...(await fill(cache, entries, scopes))]
  const strangers = Array.from({ length: 500 }, randomVector)
  let turn = 0
  const nearest = () => {
    const [number, vector] = known[turn++ % known.length]!
    return cache.get(asked(number % scopes, `other words ${turn}`), { vector })
  }
  return interleave({
    exact: () => cache.get(asked(turn % scopes, `question ${turn++ % entries}`)),
    hit: nearest,
    miss: () =>
      cache.get(asked(turn % scopes, `other words ${turn}`), { vector: strangers[turn++ % strangers.length]! })
  })
}

async function* latencies(entries: number, scopes: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, CACHE)
  const { exact, hit, miss } = await measured(cache, entries, scopes)
  const where = scopes === 1 ? `${entries} entries in one scope` : `${entries} entries in ${scopes} scopes`
  const target = scopes === 1 ? "under 200 us, 3 x" : "under 150 us, 3 x"
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

async function* besideGptcache(): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, CACHE)
  const ours = await measured(cache, SMALL, 1)
  const theirs = await gptcacheTimes(SMALL, DIMENSIONS)
  for (const kind of ["hit", "miss"] as const) {
    const { p50 } = ours[kind]
    yield {
      case: `semantic ${kind}, vector given, ${SMALL} entries, p50`,
      value: p50,
      unit: "us",
      against: theirs.name,
      ratio: theirs[kind] / p50,
      target: "50 x"
    }
  }
}

/** What it takes longer when the text has to be embedded first: medians of the differences within a round. */
async function* texts(entries: number): AsyncGenerator<Measured> {
  const all = await sentences(entries + 500)
  const [kept, strange] = [all.slice(500), all.slice(0, 500)]
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { ...CACHE, dimensions: undefined, threshold: 0.95 })
  for (let from = 0; from < kept.length; from += 64) {
    await Promise.all(kept.slice(from, from + 64).map((prompt) => cache.set({ prompt }, prompt)))
  }
  const { embed } = staticEmbedder()
  const vectors = await Promise.all(strange.map(async (text) => await embed([text])))
  let turn = 0
  const { text, vector } = await interleave({
    text: () => cache.get({ prompt: strange[turn++ % strange.length]! }),
    vector: () => {
      const i = turn++ % strange.length
      return cache.get({ prompt: strange[i]! }, { vector: vectors[i]! })
    }
  })
  const of = `${kept.length} sentences, p50`
  const against = "the vector given"
  yield { case: `look-up, text in, ${of}`, value: text.p50, unit: "us", against, ratio: ratio(text, vector) }
  yield { case: `  of which embedding it, ${of}`, value: between(text, vector), unit: "us", target: "< 40" }
}

const between = (a: Times, b: Times): number => median(a.rounds.map((time, round) => time - b.rounds[round]!))

/** Bytes an entry beside keys and payloads, of a cache that keeps no vectors. */
async function* memory(entries: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { ...CACHE, precision: "none" })
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
