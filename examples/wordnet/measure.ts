/** What the closing table of the demonstration says: times, recall and sizes, measured here and now. */
import { open, stat } from "node:fs/promises"
import type { Collection, Embedder } from "../../src/index.ts"

/** Times of one way to search, in microseconds. */
interface SearchTimes {
  readonly mode: "exact" | "flat" | "binary"
  readonly p50: number
  readonly p99: number
}

const MODES = ["exact", "flat", "binary"] as const
const ROUNDS = 5

const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN

/** p50 and p99 of searching for each of `queries`, mode by mode. */
export const searchTimes = async (glosses: Collection, queries: ReadonlyArray<Float32Array>) => {
  const times: Array<SearchTimes> = []
  for (const mode of MODES) {
    const taken: Array<number> = []
    for (let round = 0; round < ROUNDS; round++) {
      for (const query of queries) {
        const start = performance.now()
        await glosses.search(query, { mode, k: 10 })
        taken.push((performance.now() - start) * 1000)
      }
    }
    taken.sort((a, b) => a - b)
    times.push({ mode, p50: quantile(taken, 0.5), p99: quantile(taken, 0.99) })
  }
  return times
}

/** Share of the ten nearest by exact search that `flat` finds too. */
export const flatRecall = async (glosses: Collection, queries: ReadonlyArray<Float32Array>): Promise<number> => {
  let found = 0
  let wanted = 0
  for (const query of queries) {
    const exact = await glosses.search(query, { mode: "exact", k: 10 })
    const flat = new Set((await glosses.search(query, { mode: "flat", k: 10 })).map((hit) => hit.key))
    wanted += exact.length
    found += exact.filter((hit) => flat.has(hit.key)).length
  }
  return found / wanted
}

/** Vectors of half a text each: like a question, near one entry and equal to none. */
export const heldOutQueries = async (
  embedder: Embedder,
  texts: ReadonlyArray<string>,
  count: number
): Promise<ReadonlyArray<Float32Array>> => {
  const step = Math.floor(texts.length / count)
  const halves = Array.from({ length: count }, (_, i) => firstHalf(texts[i * step] ?? ""))
  const vectors = await embedder.embed(halves, { kind: "query" })
  return halves.map((_, i) => vectors.slice(i * embedder.dimensions, (i + 1) * embedder.dimensions))
}

const firstHalf = (text: string): string => {
  const words = text.split(" ")
  return words.slice(0, Math.max(3, words.length >> 1)).join(" ")
}

/** Bytes of a file, and milliseconds to read it whole into fresh memory: the floor of a load. */
export const plainRead = async (path: string): Promise<{ readonly bytes: number; readonly ms: number }> => {
  const { size: bytes } = await stat(path)
  const file = await open(path)
  try {
    const start = performance.now()
    await file.read(Buffer.allocUnsafeSlow(bytes), 0, bytes, 0)
    return { bytes, ms: performance.now() - start }
  } finally {
    await file.close()
  }
}
