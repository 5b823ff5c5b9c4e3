/** Writes that are on the disk when they are done, against appending the same bytes to a file and flushing it. */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encodeFrame, setNumber } from "../src/core/log/frame.ts"
import { LogFile } from "../src/core/log/log-file.ts"
import { kernels } from "../src/core/native.ts"
import { type Collection, open } from "../src/index.ts"
import { keysOf } from "./adding.ts"
import type { Measured } from "./figure.ts"
import { datasets, type Setting } from "./setting.ts"
import { median, milliseconds, quantile } from "./timing.ts"

export const about = "durable writes against an append and fdatasync of the same bytes, alone and by 32 writers"

const FIRST_ROWS = 4096
const WRITES = 400
const WRITERS = 32
/** Writes of each of them in a round. */
const WRITES_IN_TURN = 8
const BATCH = 1000
/** The first batches of a process run on code that is not compiled yet: the median is of those after them. */
const ROUNDS = 25
/** Dimensions of the store that keeps codes alone. */
const CODED = 32

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  const folder = await mkdtemp(join(tmpdir(), "sabine-bench-"))
  try {
    for await (const dataset of datasets(setting)) {
      const { dimensions, base } = dataset
      const vector = (i: number) => base.slice((i % dataset.rows) * dimensions, ((i % dataset.rows) + 1) * dimensions)
      /** The first components of the data, from the start again where there are not as many. */
      const components = (length: number) => Float32Array.from({ length }, (_, i) => base[i % base.length]!)
      await using db = await open(join(folder, "memory"))
      // Few enough rows that there are no lists unasked; what is measured of them would be beside the first writes.
      const collection = await db.collection("put", { dimensions, index: "none" })
      await collection.addMany({ keys: keysOf(FIRST_ROWS, "first"), vectors: components(FIRST_ROWS * dimensions) })
      await collection.buildIndex()
      yield* singles(folder, collection, vector)
      yield* searches(collection, vector)
      yield* batches("f32", collection, components(BATCH * ROUNDS * dimensions), dimensions, 25_000)
      const coded = await db.collection("coded", { dimensions: CODED, precision: "none" })
      yield* batches("44-byte entries", coded, components(BATCH * ROUNDS * CODED), CODED, 100_000)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Single writes in turns: a bare append, the log alone and the caller's whole add; then 32 callers, each one after the other. */
async function* singles(
  folder: string,
  collection: Collection,
  vector: (i: number) => Float32Array
): AsyncGenerator<Measured> {
  const file = openSync(join(folder, "bare"), "a")
  const log = new LogFile(kernels, join(folder, "log.sqlite"), false)
  const { id } = log.create("bench", "{}")
  const bare: Array<number> = []
  const logged: Array<number> = []
  const added: Array<number> = []
  const together: Array<number> = []
  for (let i = 0; i < WRITES; i++) {
    const frame = encodeFrame({ operation: "put", keys: [`single-${i}`], payloads: [undefined], vectors: vector(i) })
    setNumber(frame, { number: i + 1, previous: i, collection: id })
    bare.push(
      await milliseconds(() => {
        writeSync(file, frame)
        fdatasyncSync(file)
      })
    )
    logged.push(await milliseconds(() => log.append([frame])))
    added.push(await milliseconds(() => collection.add({ key: `single-${i}`, vector: vector(i) })))
  }
  for (let round = 0; round < WRITES / WRITERS; round++) {
    const writer = async (_: unknown, j: number): Promise<void> => {
      for (let i = 0; i < WRITES_IN_TURN; i++) {
        await collection.add({ key: `together-${round}-${j}-${i}`, vector: vector(i + j) })
      }
    }
    const ms = await milliseconds(() => Promise.all(Array.from({ length: WRITERS }, writer)))
    together.push(ms / WRITES_IN_TURN)
  }
  log.close()
  closeSync(file)
  const p50 = (times: ReadonlyArray<number>) =>
    quantile(
      [...times].sort((a, b) => a - b),
      0.5
    ) * 1000
  const against = "an append and fdatasync of the same bytes"
  const of = (times: ReadonlyArray<number>) => median(times.map((ms, i) => ms / bare[i]!))
  yield { case: against, value: p50(bare), unit: "us" }
  yield {
    case: "commit in the storage worker, p50",
    value: p50(logged),
    unit: "us",
    against,
    ratio: of(logged),
    target: "1.5"
  }
  yield { case: "add at the caller, p50", value: p50(added), unit: "us", against, ratio: of(added), target: "3" }
  yield {
    case: `adds by ${WRITERS} writers, each one after the other`,
    value: (WRITERS / median(together)) * 1000,
    unit: "rows/s",
    against: "adds one after the other",
    ratio: (median(added) * WRITERS) / median(together),
    target: "10"
  }
}

/** Searches while somebody writes and while nobody does, in turns. */
async function* searches(collection: Collection, vector: (i: number) => Float32Array): AsyncGenerator<Measured> {
  const alone: Array<number> = []
  const beside: Array<number> = []
  for (let round = 0; round < 40; round++) {
    for (const times of [alone, beside]) {
      let writing = times === beside
      const writer = (async () => {
        for (let i = 0; writing; i++) await collection.add({ key: `beside-${round}-${i}`, vector: vector(i) })
      })()
      for (let i = 0; i < 50; i++) {
        times.push(await milliseconds(() => collection.search(vector(i), { k: 10 })))
        await new Promise(setImmediate)
      }
      writing = false
      await writer
    }
  }
  yield {
    case: "search, p50, while another writes",
    value: median(beside) * 1000,
    unit: "us",
    against: "while nobody writes",
    ratio: median(beside) / median(alone),
    target: "1.2"
  }
}

async function* batches(
  name: string,
  collection: Collection,
  vectors: Float32Array,
  dimensions: number,
  target: number
): AsyncGenerator<Measured> {
  const times: Array<number> = []
  const bytes = BATCH * dimensions
  for (let round = 0; round < ROUNDS; round++) {
    const keys = keysOf(BATCH, `batch-${round}`)
    const batch = { keys, vectors: vectors.slice(round * bytes, (round + 1) * bytes) }
    times.push(await milliseconds(() => collection.addMany(batch)))
  }
  const value = (BATCH / median(times)) * 1000
  yield {
    case: `addMany of ${BATCH}, ${name}`,
    value,
    unit: "rows/s",
    against: "the rows a second that are wanted",
    ratio: value / target,
    target: "1"
  }
}
