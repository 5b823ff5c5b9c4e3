/** Many callers of one thread: throughput, latency, and what is left of the event loop. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { type Collection, open } from "../src/index.ts"
import { addBase, keysOf } from "./adding.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { datasets, type Setting } from "./setting.ts"
import { median, quantile } from "./timing.ts"

export const about = "searches of 1, 8 and 32 callers on one thread, in flat mode, alone and beside a writer"

const CALLERS = [1, 8, 32]
/** Rounds in which every number of callers has its turn, so that what else the machine does meets all of them. */
const ROUNDS = 5
const TURN_MS = 600
const WARM_MS = 300
/** Of five calls of a mixed caller, one writes. */
const WRITE_EVERY = 5
const OPTIONS = { k: 10, mode: "flat" } as const

interface Turn {
  readonly rate: number
  /** Of single searches, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Times between two turns of a timer of one millisecond. */
  readonly loop: { readonly p99: number; readonly max: number }
}

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    await using db = await open(":memory:")
    const collection = await db.collection("concurrency", { dimensions: dataset.dimensions, index: "none" })
    await addBase(collection, dataset)
    await collection.buildIndex()
    yield* alone(collection, dataset)
    yield* besideWrites(collection, dataset)
  }
}

async function* alone(collection: Collection, dataset: Dataset): AsyncGenerator<Measured> {
  const search = searcher(collection, dataset)
  const turns = new Map<number, Array<Turn>>(CALLERS.map((callers) => [callers, []]))
  for (const callers of CALLERS) await turnOf(callers, WARM_MS, search)
  for (let round = 0; round < ROUNDS; round++) {
    for (const callers of CALLERS) turns.get(callers)!.push(await turnOf(callers, TURN_MS, search))
  }
  const single = turns.get(1)!
  for (const [callers, all] of turns) {
    const name = `${callers} caller${callers === 1 ? "" : "s"}`
    const ratio = median(all.map(({ rate }, round) => rate / single[round]!.rate))
    yield { case: `${name}, rate`, value: middle(all, "rate"), unit: "a second", against: "one caller", ratio }
    yield { case: `${name}, p50`, value: middle(all, "p50"), unit: "ms" }
    yield { case: `${name}, p99`, value: middle(all, "p99"), unit: "ms" }
    yield { case: `${name}, event-loop delay p99`, value: median(all.map(({ loop }) => loop.p99)), unit: "ms" }
    yield {
      case: `${name}, event-loop delay, longest`,
      value: Math.max(...all.map(({ loop }) => loop.max)),
      unit: "ms"
    }
  }
}

/** Searches while puts come in: 32 callers of which each writes at times, and 4 that search beside one that only writes. */
async function* besideWrites(collection: Collection, dataset: Dataset): AsyncGenerator<Measured> {
  const { dimensions, base, rows } = dataset
  const search = searcher(collection, dataset)
  let written = 0
  const key = keysOf(1, "put")[0]!
  const put = () => {
    const row = written++ % rows
    return collection.add({ key: `${key}-${written}`, vector: base.subarray(row * dimensions, (row + 1) * dimensions) })
  }
  const mixed = await turnOf(32, TURN_MS, (i) => (i % WRITE_EVERY === 0 ? put() : search(i)))
  yield { case: "32 callers, one call in five writes, rate", value: mixed.rate, unit: "a second" }
  yield {
    case: "32 callers, one call in five writes, event-loop delay p99",
    value: mixed.loop.p99,
    unit: "ms",
    target: "5 ms"
  }
  const ratios: Array<number> = []
  const loops: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    const quiet = await turnOf(4, TURN_MS, search)
    let isOver = false
    const writer = (async () => {
      while (!isOver) await put()
    })()
    const busy = await turnOf(4, TURN_MS, search)
    isOver = true
    await writer
    ratios.push(busy.p50 / quiet.p50)
    loops.push(busy.loop.p99)
  }
  const against = "the same without a writer"
  yield {
    case: "4 callers beside a writer, p50",
    value: median(ratios),
    unit: "x",
    against,
    ratio: median(ratios),
    target: "1.2"
  }
  yield { case: "4 callers beside a writer, event-loop delay p99", value: median(loops), unit: "ms", target: "5 ms" }
}

const middle = (turns: ReadonlyArray<Turn>, of: "rate" | "p50" | "p99"): number => median(turns.map((turn) => turn[of]))

/** A search for the `i`-th query. */
const searcher = (collection: Collection, { dimensions, queries }: Dataset) => {
  const { vectors, count } = queries[0]!
  const each = Array.from({ length: count }, (_, i) => vectors.slice(i * dimensions, (i + 1) * dimensions))
  return (i: number): Promise<unknown> => collection.search(each[i % count]!, OPTIONS)
}

/** So many callers that each call again as soon as they were answered. */
const turnOf = async (callers: number, ms: number, call: (i: number) => Promise<unknown>): Promise<Turn> => {
  const times: Array<number> = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const end = start + ms
  let calls = 0
  const caller = async () => {
    for (let before = performance.now(); before < end; ) {
      await call(calls++)
      const after = performance.now()
      times.push(after - before)
      before = after
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const seconds = (performance.now() - start) / 1000
  delay.disable()
  times.sort((a, b) => a - b)
  return {
    rate: times.length / seconds,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    loop: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }
  }
}
