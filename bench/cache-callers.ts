/** Many callers of one cache, a fifth of whose calls write: how many calls, what they are told, how long the loop is held. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { semanticCache } from "../src/cache.ts"
import { open } from "../src/index.ts"
import { asked, CACHE, fill, randomVector } from "./caching.ts"
import type { Measured } from "./figure.ts"
import { milliseconds } from "./timing.ts"

const CALLERS = 32
const ENTRIES = 10_000
/** Calls of ours, some seconds of them, and of what takes their place. */
const CALLS = 32_000
const PEER_CALLS = 200
const IDLE_MS = 1000
/** What is asked for, each in many words. */
const INTENTS = 500
/** Length of what wordings of an intent differ by, as a part of their own length. */
const SPREAD = 0.1

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

/** Calls a second of `CALLERS` callers who each wait for an answer before they call again. */
const run = async (call: (i: number) => Promise<unknown>, calls: number): Promise<number> => {
  let next = 0
  const caller = async () => {
    while (next < calls) await call(next++)
  }
  return (1000 * calls) / (await milliseconds(() => Promise.all(Array.from({ length: CALLERS }, caller))))
}

const isWrite = (i: number): boolean => i % 5 === 0
/** A write and the calls behind it are about one intent. */
const intentOf = (i: number): number => Math.floor(i / 5) % INTENTS
const answerTo = (i: number): string => `answer to ${intentOf(i)}`

export async function* callers(): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, CACHE)
  await fill(cache, ENTRIES, 1)
  const intents = Array.from({ length: INTENTS }, randomVector)
  const wordings = Array.from({ length: 8 }, randomVector)
  const vector = (i: number): Float32Array => {
    const other = wordings[i % wordings.length]!
    return intents[intentOf(i)]!.map((value, c) => value + SPREAD * other[c]!)
  }
  let hits = 0
  let wrong = 0
  const idle = monitorEventLoopDelay({ resolution: 1 })
  idle.enable()
  await sleep(IDLE_MS)
  idle.disable()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const ours = await run(async (i) => {
    if (isWrite(i)) {
      await cache.set(asked(0, `new ${i}`), answerTo(i), { vector: vector(i) })
      return
    }
    const found = await cache.get(asked(0, `other ${i}`), { vector: vector(i) })
    if (found.isHit) hits++
    if (found.isHit && found.value !== answerTo(i)) wrong++
  }, CALLS)
  delay.disable()
  let lost = 0
  for (let i = 0; i < CALLS; i++) {
    if (!isWrite(i)) continue
    const found = await cache.get(asked(0, `new ${i}`))
    if (!(found.isHit && found.tier === "exact" && found.value === answerTo(i))) lost++
  }
  const peer = mapAndScan(Array.from({ length: ENTRIES }, randomVector))
  const theirs = await run((i) => (isWrite(i) ? peer.set(vector(i), "new") : peer.get(vector(i))), PEER_CALLS)
  const of = `${CALLERS} callers, a fifth writing, ${ENTRIES} entries`
  const against = { against: "a Map behind a mutex, scanned in JS", ratio: ours / theirs }
  yield { case: of, value: ours, unit: "calls/s", ...against, target: "10 x" }
  const held = delay.percentile(99) / 1e6
  const beside = { against: "the idle loop", ratio: delay.percentile(99) / idle.percentile(99) }
  yield { case: "  delay of the event loop meanwhile, p99", value: held, unit: "ms", ...beside, target: "< 5" }
  yield { case: "  hits among them", value: hits, unit: "calls" }
  yield { case: "  answers to another question", value: wrong, unit: "calls", target: "0" }
  yield { case: "  writes that are lost", value: lost, unit: "calls", target: "0" }
}
