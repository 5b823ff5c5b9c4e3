/** One peer's searches as they are measured: recall, times of single queries, queries a second of batches. */
import { quantile } from "../timing.ts"
import { type QuerySet, readBase } from "./data-files.ts"
import { hamming } from "./hamming.ts"
import { K } from "./job.ts"
import { codes, type Found, type Matrix, type Opened, rowOf } from "./peer.ts"

/** Whether a row is among the nearest of a query. */
type IsNear = (query: number, row: number) => boolean

/** By row number for vectors; by distance for codes, where many rows are equally far. */
export const nearness = (data: string, set: QuerySet): IsNear => {
  const { truth, depth, matrix } = set
  if (matrix.values instanceof Float32Array) {
    return (query, row) => truth.subarray(query * depth, query * depth + K).includes(row)
  }
  const base = readBase(data)
  const distance = (query: number, row: number) =>
    hamming(codes({ values: rowOf(matrix, query) }), codes({ values: rowOf(base, row) }))
  return (query, row) => distance(query, row) <= distance(query, truth[query * depth + K - 1]!)
}

/** Searches every query once, which also warms the peer up; null when it returns no rows that can be compared. */
export const recallOf = async (opened: Opened, matrix: Matrix, isNear: IsNear): Promise<number | null> => {
  let hits = 0
  let returned = 0
  for (let query = 0; query < matrix.rows; query++) {
    const found: Found = await opened.search(rowOf(matrix, query), K)
    const rows = new Set(Array.from(found, Number))
    returned += rows.size
    for (const row of rows) if (isNear(query, row)) hits++
  }
  return returned === 0 ? null : hits / (matrix.rows * K)
}

/** Fewest calls that a quantile is taken of. */
const LEAST_CALLS = 12

/** Microseconds of single searches, query after query. */
export const singleTimes = async (
  { search }: Opened,
  matrix: Matrix,
  turnMs: number
): Promise<{ readonly p50: number; readonly p99: number; readonly qps: number }> => {
  const times: Array<number> = []
  const end = performance.now() + turnMs
  for (let i = 0; times.length < LEAST_CALLS || performance.now() < end; i++) {
    const query = rowOf(matrix, i % matrix.rows)
    const start = performance.now()
    const pending = search(query, K)
    if (pending instanceof Promise) await pending
    times.push((performance.now() - start) * 1000)
  }
  const qps = 1e6 / (times.reduce((sum, time) => sum + time, 0) / times.length)
  times.sort((a, b) => a - b)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), qps }
}

/** Queries a second of the quickest batch of all queries. */
export const batchRate = async (
  searchMany: NonNullable<Opened["searchMany"]>,
  matrix: Matrix,
  turnMs: number
): Promise<number> => {
  await searchMany(matrix, K)
  let quickest = Number.POSITIVE_INFINITY
  const end = performance.now() + turnMs
  do {
    const start = performance.now()
    await searchMany(matrix, K)
    quickest = Math.min(quickest, performance.now() - start)
  } while (performance.now() < end)
  return (matrix.rows * 1000) / quickest
}
