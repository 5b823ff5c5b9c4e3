/**
 * What look-ups take while a cache evicts, beside as many look-ups of the same cache that does not, and what the garbage
 * collector does meanwhile.
 */
import { PerformanceObserver } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { type SemanticCache, semanticCache } from "../src/cache.ts"
import { type Database, open } from "../src/index.ts"
import { asked, CACHE, fill, randomVector } from "./caching.ts"
import type { Measured } from "./figure.ts"
import { quantile } from "./timing.ts"

/** Share of the entries that have given way when it is over: of nearly a fifth. */
const GONE = 0.19
/** Look-ups between two looks at what is left to evict: statistics are not free. */
const LOOK_EVERY = 32
const QUANTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["p99.9", 0.999]
] as const

interface Took {
  /** Microseconds a look-up, in increasing order. */
  readonly us: ReadonlyArray<number>
  readonly ms: number
  /** Milliseconds of each pause of the garbage collector meanwhile. */
  readonly pauses: ReadonlyArray<number>
}

const vectors = Array.from({ length: 500 }, randomVector)

/** Look-ups that nothing is found for, for as long as `goesOn`, which is told how many there were. */
const lookUps = async (cache: SemanticCache, goesOn: (done: number) => boolean): Promise<Took> => {
  const pauses: Array<number> = []
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration)
  })
  observer.observe({ entryTypes: ["gc"] })
  const us: Array<number> = []
  const began = performance.now()
  while (goesOn(us.length)) {
    const start = performance.now()
    await cache.get(asked(0, `other words ${us.length}`), { vector: vectors[us.length % vectors.length]! })
    us.push((performance.now() - start) * 1000)
  }
  const ms = performance.now() - began
  // Pauses are told in a later turn.
  await sleep(10)
  observer.disconnect()
  us.sort((a, b) => a - b)
  return { us, ms, pauses }
}

/** While nearly a fifth of what the cache holds gives way, and then with room for all. */
const measured = async (db: Database) => {
  await using cache = await semanticCache(db, CACHE)
  const { bytes, entries } = cache.stats()
  await cache[Symbol.asyncDispose]()
  // A cache that is opened with a smaller budget is above it: it evicts down to eight tenths at once.
  await using small = await semanticCache(db, { ...CACHE, maxBytes: Math.floor(bytes) })
  const isEvicting = () => small.stats().evicted < GONE * entries
  const busy = await lookUps(small, (done) => done % LOOK_EVERY !== 0 || isEvicting())
  const { evicted } = small.stats()
  await small[Symbol.asyncDispose]()
  await using roomy = await semanticCache(db, CACHE)
  const quiet = await lookUps(roomy, (done) => done < busy.us.length)
  return { busy, quiet, evicted }
}

export async function* evicting(entries: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  const full = await semanticCache(db, CACHE)
  await fill(full, entries, 1)
  await full[Symbol.asyncDispose]()
  const { busy, quiet, evicted } = await measured(db)
  const against = "nothing beside it"
  for (const [name, q] of QUANTILES) {
    const [value, alone] = [quantile(busy.us, q), quantile(quiet.us, q)]
    const during = `while ${evicted} of ${entries} entries give way, ${name}`
    yield { case: `look-up ${during}`, value, unit: "us", against, ratio: value / alone }
    yield { case: `  alone, ${name}`, value: alone, unit: "us" }
    yield { case: `  longer than alone, ${name}`, value: value - alone, unit: "us", target: "< 1000" }
  }
  yield* pausesOf(busy, quiet, against)
}

/** What the garbage collector adds, with and without eviction: there are as many look-ups, and not as long a time. */
function* pausesOf(busy: Took, quiet: Took, against: string): Generator<Measured> {
  const rate = ({ pauses, ms }: Took) => (1000 * pauses.length) / ms
  const mean = ({ pauses }: Took) => pauses.reduce((sum, pause) => sum + pause, 0) / Math.max(1, pauses.length)
  const [often, long] = [rate(busy), mean(busy)]
  yield { case: "  garbage collected meanwhile", value: often, unit: "times/s", against, ratio: often / rate(quiet) }
  yield { case: "  a pause for it, mean", value: long, unit: "ms", against, ratio: long / mean(quiet) }
}
