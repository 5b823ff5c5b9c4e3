/**
 * What look-ups take while entries are written and others give way for them, beside look-ups of the same cache while as many
 * are written and there is room for all, and beside look-ups alone; and what the garbage collector does meanwhile.
 */
import { PerformanceObserver } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { type SemanticCache, semanticCache } from "../src/cache.ts"
import { type Database, open } from "../src/index.ts"
import { asked, CACHE, fill, randomVector } from "./caching.ts"
import type { Measured } from "./figure.ts"
import { quantile } from "./timing.ts"

/** Shares of its bytes at which a cache begins to evict, and at which it is as good as done. */
const FULL = 0.9
const RELIEVED = 0.805
const WRITES_A_SECOND = 500
/** Times that each case is measured, in turn. */
const ROUNDS = 3
/** Look-ups before anything is measured. */
const WARM_UP = 10_000
/** Look-ups between two looks at what is left to evict: statistics are not free. */
const LOOK_EVERY = 32
const QUANTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["p99.9", 0.999]
] as const

/** What look-ups of one case took. */
class Took {
  /** Microseconds of each. */
  readonly us: Array<number> = []
  /** Milliseconds of each pause of the garbage collector meanwhile. */
  readonly pauses: Array<number> = []
  ms = 0
  evicted = 0

  at(q: number): number {
    return quantile(
      this.us.toSorted((a, b) => a - b),
      q
    )
  }

  get pausesASecond(): number {
    return (1000 * this.pauses.length) / this.ms
  }

  get meanPause(): number {
    return this.pauses.reduce((sum, pause) => sum + pause, 0) / Math.max(1, this.pauses.length)
  }
}

const vectors = Array.from({ length: 500 }, randomVector)
let written = 0

/** Keeps so many answers a second until it is told to stop. */
const writing = (cache: SemanticCache) => {
  let isOver = false
  const write = async () => {
    const began = performance.now()
    for (let done = 0; !isOver; await sleep(1)) {
      for (; done < ((performance.now() - began) * WRITES_A_SECOND) / 1000; done++) {
        await cache.set(asked(0, `written ${written}`), "answer", { vector: vectors[written++ % vectors.length]! })
      }
    }
  }
  const working = write()
  return () => {
    isOver = true
    return working
  }
}

/** Look-ups that nothing is found for, for as long as `goesOn`, which is told how many there were. */
const lookUps = async (cache: SemanticCache, took: Took, goesOn: (done: number) => boolean): Promise<number> => {
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) took.pauses.push(duration)
  })
  observer.observe({ entryTypes: ["gc"] })
  const began = performance.now()
  let done = 0
  while (goesOn(done)) {
    const start = performance.now()
    await cache.get(asked(0, `other words ${done}`), { vector: vectors[done++ % vectors.length]! })
    took.us.push((performance.now() - start) * 1000)
  }
  took.ms += performance.now() - began
  // Pauses are told in a later turn.
  await sleep(10)
  observer.disconnect()
  return done
}

/** While a ninth of what a full cache holds gives way, and then for as many look-ups with room for all. */
const measured = async (db: Database) => {
  const took = { alone: new Took(), writes: new Took(), evicts: new Took() }
  {
    // What comes first would be measured before it is compiled.
    await using first = await semanticCache(db, CACHE)
    await lookUps(first, new Took(), (done) => done < WARM_UP)
  }
  for (let round = 0; round < ROUNDS; round++) {
    const roomy = await semanticCache(db, CACHE)
    const maxBytes = Math.floor(roomy.stats().bytes / FULL) - 1
    await roomy[Symbol.asyncDispose]()
    const full = await semanticCache(db, { ...CACHE, maxBytes })
    const isEvicting = () => full.stats().bytes > RELIEVED * maxBytes
    const stopFull = writing(full)
    const count = await lookUps(full, took.evicts, (done) => done % LOOK_EVERY !== 0 || isEvicting())
    await stopFull()
    took.evicts.evicted += full.stats().evicted
    await full[Symbol.asyncDispose]()
    await using again = await semanticCache(db, CACHE)
    const stop = writing(again)
    await lookUps(again, took.writes, (done) => done < count)
    await stop()
    await lookUps(again, took.alone, (done) => done < count)
  }
  return took
}

export async function* evicting(entries: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  const full = await semanticCache(db, CACHE)
  await fill(full, entries, 1)
  await full[Symbol.asyncDispose]()
  // Nothing is to be learned of the entries beside what is measured.
  await (await db.collection("cache")).buildIndex()
  const { alone, writes, evicts } = await measured(db)
  const during = `beside ${WRITES_A_SECOND} writes a second`
  const against = `${during}, with room for all`
  for (const [name, q] of QUANTILES) {
    const [value, roomy] = [evicts.at(q), writes.at(q)]
    yield {
      case: `look-up ${during}, for which others of ${entries} give way, ${name}`,
      value,
      unit: "us",
      against,
      ratio: value / roomy
    }
    yield { case: `  with room for all, ${name}`, value: roomy, unit: "us" }
    yield { case: `  longer than that, ${name}`, value: value - roomy, unit: "us", target: "< 1000" }
    yield { case: `  alone, ${name}`, value: alone.at(q), unit: "us" }
  }
  yield { case: "  entries that give way", value: (1000 * evicts.evicted) / evicts.ms, unit: "a second" }
  const often = evicts.pausesASecond
  yield { case: "  garbage collected", value: often, unit: "times/s", against, ratio: often / writes.pausesASecond }
  const pause = evicts.meanPause
  yield { case: "  a pause for it, mean", value: pause, unit: "ms", against, ratio: pause / writes.meanPause }
}
