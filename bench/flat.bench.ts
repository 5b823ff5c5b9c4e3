/**
 * Flat fast-scan with rerank over real vectors, whole and in parts.
 *
 * The parts come from plans that leave the others out: without rerank what remains is rotation,
 * table and scan; over a single block also without rerank, rotation and table. The scan is the
 * difference of these two, the rerank that of the whole search and the first.
 */
import { kernels } from "../src/core/native.ts"
import type { Store } from "../src/core/store/store.ts"
import { open } from "../src/index.ts"
import { addBase } from "./adding.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { codeViews, inTurn, scanner, streamer } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { filledStore, trainedEncoder } from "./stores.ts"
import { interleave, median, ratio, type Times } from "./timing.ts"
import { recall } from "./truth.ts"

export const about = "fast-scan and rerank over real vectors, one thread, against reading codes and factors"

const K = 10
const RERANKS = [50, 100, 128, 200]
const BATCHES = [4, 8]
/** What a search takes by default for ten hits. */
const DEFAULT_RERANK = 128
/** Recall that is asked for, by the name of the query set. */
const RECALLS: Readonly<Record<string, string>> = { in: ".99", out: ".98" }
/** Long turns where single calls are told apart: what a turn sets up disturbs the first of them. */
const LONG_TURNS = { rounds: 3, turnMs: 600 }
const STREAM = "streamBytes of codes and factors"

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    const store = filledStore(kernels, dataset, "f32", trainedEncoder(kernels, dataset))
    yield* recalls(store, dataset)
    for (const isa of kernels.isas()) {
      kernels.useIsa(isa)
      yield* parts(store, dataset, isa)
    }
    kernels.useIsa(kernels.isas()[0] ?? "scalar")
    yield* wholeSearches(store, dataset)
    yield* batches(store, dataset)
    yield* throughCollection(store, dataset)
  }
}

function* recalls(store: Store, dataset: Dataset): Generator<Measured> {
  for (const queries of dataset.queries) {
    for (const rerank of RERANKS) {
      const search = scanner(store, { k: K, rerank })
      const value = recall(dataset, queries, K, (query) => search(query).rows)
      const wanted = rerank === DEFAULT_RERANK ? RECALLS[queries.name] : undefined
      const target = wanted === undefined ? {} : { target: wanted }
      yield { case: `recall@${K}, ${queries.name}, rerank ${rerank}`, value, unit: "of exact", ...target }
    }
  }
}

async function* parts(
  store: Store,
  { dimensions, queries: [queries] }: Dataset,
  isa: string
): AsyncGenerator<Measured> {
  if (queries === undefined) return
  const turn = (search: ReturnType<typeof scanner>) => inTurn(queries, dimensions, search)
  const times = await interleave({
    stream: streamer(kernels, codeViews(store)),
    whole: turn(scanner(store, { k: K, rerank: DEFAULT_RERANK })),
    unranked: turn(scanner(store, { k: K, rerank: 0 })),
    prepared: turn(scanner(store, { k: K, rerank: 0 }, { toBlock: 1 }))
  })
  const scan = difference(times.unranked, times.prepared)
  yield { case: `stream, ${isa}`, value: times.stream.p50, unit: "us" }
  yield { case: `rotation and table, ${isa}`, value: times.prepared.p50, unit: "us" }
  yield {
    case: `scan, ${isa}`,
    value: scan.p50,
    unit: "us",
    against: STREAM,
    ratio: ratio(scan, times.stream),
    target: "2"
  }
  yield { case: `rerank ${DEFAULT_RERANK}, ${isa}`, value: difference(times.whole, times.unranked).p50, unit: "us" }
}

async function* wholeSearches(store: Store, { dimensions, queries: sets }: Dataset): AsyncGenerator<Measured> {
  for (const queries of sets) {
    for (const rerank of RERANKS) {
      const search = inTurn(queries, dimensions, scanner(store, { k: K, rerank }))
      const times = await interleave({ stream: streamer(kernels, codeViews(store)), search }, LONG_TURNS)
      const name = `whole search, ${queries.name}, rerank ${rerank}`
      yield {
        case: `${name}, p50`,
        value: times.search.p50,
        unit: "us",
        against: STREAM,
        ratio: ratio(times.search, times.stream)
      }
      yield { case: `${name}, p99`, value: times.search.p99, unit: "us" }
    }
  }
}

async function* batches(store: Store, { dimensions, queries: [queries] }: Dataset): AsyncGenerator<Measured> {
  if (queries === undefined) return
  const options = { k: K, rerank: DEFAULT_RERANK }
  const single = inTurn(queries, dimensions, scanner(store, options))
  for (const count of BATCHES) {
    const batch = inTurn(queries, dimensions, scanner(store, options, { count }), count)
    const times = await interleave({ single, batch })
    const each = scaled(times.batch, 1 / count)
    const against = "the same search, one query a call"
    yield { case: `batch of ${count}, a query`, value: each.p50, unit: "us", against, ratio: ratio(each, times.single) }
  }
}

async function* throughCollection(store: Store, dataset: Dataset): AsyncGenerator<Measured> {
  const { dimensions, queries: sets } = dataset
  await using db = await open(":memory:")
  const collection = await db.collection("flat", { dimensions })
  await addBase(collection, dataset)
  for (const queries of sets) {
    const subjects = {
      kernel: inTurn(queries, dimensions, scanner(store, { k: K })),
      search: inTurn(queries, dimensions, (query) => collection.search(query, { k: K }))
    }
    const times = await interleave(subjects, LONG_TURNS)
    const against = "the kernel call within"
    const name = `collection.search, ${queries.name}`
    yield {
      case: `${name}, p50`,
      value: times.search.p50,
      unit: "us",
      against,
      ratio: ratio(times.search, times.kernel)
    }
    yield { case: `${name}, p99`, value: times.search.p99, unit: "us" }
  }
}

const scaled = ({ p50, p99, rounds }: Times, factor: number): Times => ({
  p50: p50 * factor,
  p99: p99 * factor,
  rounds: rounds.map((time) => time * factor)
})

/** What `a` takes longer than `b`, round by round. Quantiles of single calls do not subtract: its p99 is that of the rounds. */
const difference = (a: Times, b: Times): Times => {
  const rounds = a.rounds.map((time, round) => time - b.rounds[round]!)
  return { p50: median(rounds), p99: Math.max(...rounds), rounds }
}
