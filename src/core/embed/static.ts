/** The default embedder: works offline, from a table that ships with the package. */
import { availableParallelism } from "node:os"
import { Cancelled, EmptyEmbedding } from "../errors.ts"
import type { Embedder } from "./embedder.ts"
import { embedInPlace } from "./in-place.ts"
import { type EmbedTask, StaticEncoder } from "./static-encode.ts"
import { STATIC_DIMENSIONS, type StaticTable, staticTable } from "./table.ts"

/** Runs `embedTexts` of the embed worker and resolves with what it returns. */
type RunEmbedTask = (task: EmbedTask) => Promise<number>

/** Characters that take well under a millisecond: more of them are worth a hop to a worker. */
const CHARACTERS_IN_PLACE = 8_192
/** Characters of a task, so that its hop is a small part of it. */
const CHARACTERS_A_TASK = 32_768

/** The calling thread's: encoding never yields half-way, so every embedder of the thread shares its scratch memory. */
let encoder: StaticEncoder | undefined

/**
 * Static word-piece embeddings distilled from all-MiniLM-L6-v2, 256 dimensions. Long batches run
 * on the worker threads that a collection lends; without them in slices on the calling thread.
 */
export const staticEmbedder = (): Embedder => ({
  id: "static-minilm-l6-v2-256@1",
  dimensions: STATIC_DIMENSIONS,
  quick: true,
  embed: async (texts, { signal, run } = {}) => {
    if (signal?.aborted) throw new Cancelled()
    const table = await staticTable()
    if (run && exceedsInPlace(texts)) return embedInWorkers((task) => run("embedTexts", task), table, texts, signal)
    encoder ??= new StaticEncoder(table)
    return embedInPlace(encoder, STATIC_DIMENSIONS, texts, signal)
  }
})

const exceedsInPlace = (texts: ReadonlyArray<string>): boolean => {
  let characters = 0
  for (const text of texts) {
    characters += text.length
    if (characters > CHARACTERS_IN_PLACE) return true
  }
  return false
}

/** Position after the texts of a task that starts with text `from`. */
const taskEnd = (texts: ReadonlyArray<string>, from: number): number => {
  let to = from
  for (let characters = 0; to < texts.length && characters < CHARACTERS_A_TASK; to++) characters += texts[to]!.length
  return to
}

/**
 * As many tasks at a time as there are processors, each writing its rows into one shared result.
 * The first failure ends the batch; tasks still running then write into memory nobody reads.
 */
const embedInWorkers = async (
  run: RunEmbedTask,
  table: StaticTable,
  texts: ReadonlyArray<string>,
  signal: AbortSignal | undefined
): Promise<Float32Array> => {
  const vectors = new Float32Array(new SharedArrayBuffer(texts.length * STATIC_DIMENSIONS * 4))
  let next = 0
  let ended = false
  const lane = async (): Promise<void> => {
    while (next < texts.length && !ended) {
      if (signal?.aborted) throw new Cancelled()
      const from = next
      next = taskEnd(texts, from)
      const empty = await run({ table, texts: texts.slice(from, next), vectors, row: from })
      if (empty >= 0) throw new EmptyEmbedding({ index: from + empty, text: texts[from + empty]! })
    }
  }
  const lanes = Array.from({ length: availableParallelism() }, lane)
  await Promise.all(lanes).finally(() => {
    ended = true
  })
  if (signal?.aborted) throw new Cancelled()
  return vectors
}
