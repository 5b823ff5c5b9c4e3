/** A cache of 1,000,000 entries: filling it through its own door, what a look-up and an entry take, and opening it again. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type SemanticCache, semanticCache } from "../src/cache.ts"
import { kernels } from "../src/core/native.ts"
import { type CollectionStats, open } from "../src/index.ts"
import { asked, CACHE, DIMENSIONS, fill } from "./caching.ts"
import type { Measured } from "./figure.ts"
import { inFreshProcess, type OpenedStore } from "./fresh.ts"
import { rowCounts, type Setting } from "./setting.ts"
import { interleave, milliseconds, ratio } from "./timing.ts"

export const about = "a semantic cache of 1,000,000 entries: filling, look-ups, bytes an entry, and opening it again"

const ENTRIES = 1_000_000
/** What is asked about: vectors gather around so many centres. */
const TOPICS = 1000
const SPREAD = 0.7
/** Bytes of an entry that a scan reads: 256 signs and a factor. */
const CODE_BYTES = 34

/** Vectors of some entries, by their numbers. */
type Known = ReadonlyMap<number, Float32Array>

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for (const entries of rowCounts(setting, ENTRIES)) {
    yield* withVectors(entries)
    yield* withoutVectors(entries)
  }
}

const noise = () => Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5)

const topical = (): (() => Float32Array) => {
  const centres = Array.from({ length: TOPICS }, noise)
  return () => {
    const centre = centres[Math.floor(Math.random() * TOPICS)]!
    const own = noise()
    return own.map((value, c) => centre[c]! + SPREAD * value)
  }
}

/** As a cache is without options: it keeps vectors, and looks through inverted lists once they are made. */
async function* withVectors(entries: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, CACHE)
  const draw = topical()
  let known: Known = new Map()
  const ms = await milliseconds(async () => {
    known = await fill(cache, entries, 1, draw)
  })
  yield { case: `filling ${entries} entries`, value: (1000 * entries) / ms, unit: "entries/s" }
  const collection = await db.collection("cache")
  // Filling makes lists in the background, which may be under way, done or rows behind by now.
  const waited = await milliseconds(() => collection.buildIndex())
  const lists = collection.stats().lists
  yield { case: `  wait for the index after the last write, ${lists} lists`, value: waited / 1000, unit: "s" }
  yield* lookUps(cache, known, draw, entries, "int8 vectors, in lists")
  const { bytes, columns } = collection.stats()
  const own = (bytes.touched - columns["records"]!.touched) / entries
  yield { case: `memory beside keys and answers, ${entries} entries with vectors`, value: own, unit: "B/entry" }
}

/** Of a cache that keeps no vectors, as it is filled and as a fresh process has it that only opens it. */
async function* withoutVectors(entries: number): AsyncGenerator<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "sabine-bench-"))
  try {
    const draw = topical()
    let stats: CollectionStats
    {
      await using db = await open(folder)
      await using cache = await semanticCache(db, { ...CACHE, precision: "none" })
      const known = await fill(cache, entries, 1, draw)
      yield* lookUps(cache, known, draw, entries, "no vectors")
      await db.save()
      stats = (await db.collection("cache")).stats()
    }
    const { bytes, columns } = stats
    const records = columns["records"]!.touched
    const own = bytes.touched - records
    const unit = "B/entry"
    yield { case: `memory beside keys and answers, ${entries} entries`, value: own / entries, unit, target: "50" }
    yield { case: "  keys, questions and answers", value: records / entries, unit }
    const { printed } = await inFreshProcess<OpenedStore>("cache", folder)
    const against = "all bytes it counts, keys and answers included"
    const [grown, all] = [printed.residentGrowth, bytes.touched]
    yield { case: "  resident set after opening it", value: grown / entries, unit, against, ratio: grown / all }
    yield { case: `opening ${entries} entries and a first look-up`, value: printed.ms, unit: "ms" }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Look-ups whose vector is given, beside a read of all codes. */
async function* lookUps(
  cache: SemanticCache,
  vectors: Known,
  draw: () => Float32Array,
  entries: number,
  kept: string
): AsyncGenerator<Measured> {
  const known = [...vectors.values()]
  const strangers = Array.from({ length: 500 }, draw)
  let turn = 0
  const codes = new Uint8Array(new SharedArrayBuffer(entries * CODE_BYTES)).fill(1)
  const next = (of: ReadonlyArray<Float32Array>) => {
    const vector = of[turn++ % of.length]!
    return cache.get(asked(0, `other words ${turn}`), { vector })
  }
  const { floor, hit, miss } = await interleave({
    floor: () => kernels.streamBytes(codes),
    hit: () => next(known),
    miss: () => next(strangers)
  })
  const of = `vector given, ${entries} entries in one scope, ${kept}, p50`
  for (const [name, times] of Object.entries({ hit, miss })) {
    const against = { against: "reading all codes once, on one thread", ratio: ratio(times, floor) }
    yield { case: `semantic ${name}, ${of}`, value: times.p50, unit: "us", ...against, target: "< 1000" }
  }
}
