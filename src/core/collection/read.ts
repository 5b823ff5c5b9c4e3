/** Hits and entries as callers see them, read from rows under a claim or on the owner's thread. */
import type { Hits } from "../kernels/contract.ts"
import type { Used } from "../search/search.ts"
import { addressOf, isCurrent, type Rows, vectorOf } from "../store/rows.ts"
import type { Entry, Payload } from "./entries.ts"

export interface Hit {
  readonly key: string
  /** Higher is nearer: cosine similarity, inner product, or minus the squared distance. */
  readonly score: number
  readonly payload: Payload
}

/** Hits of many queries in flat arrays: hit `i` of query `q` is at `q * k + i`. */
export interface HitColumns {
  /** `""` beyond the count of a query. */
  readonly keys: ReadonlyArray<string>
  readonly scores: Float32Array
  /** Hits of each query: `k`, or fewer when the collection holds fewer. */
  readonly counts: Uint32Array
}

/**
 * Calls `visit` for the hits of a query that are still what the search saw. A row that was deleted
 * or reused since is left out, and of two rows of one key, met while an update switched from one
 * to the other, only the nearer counts.
 */
const forEachHit = (
  rows: Rows,
  hits: Hits,
  query: number,
  keep: number,
  visit: (key: string, score: number, address: number) => void
): boolean => {
  const seen = new Set<string>()
  const from = query * keep
  const to = from + hits.counts[query]!
  for (let i = from; i < to; i++) {
    const row = hits.rows[i]!
    if (!isCurrent(rows, row, hits.generations[i]!)) continue
    const address = addressOf(rows, row)
    const key = rows.records.key(address)
    if (seen.has(key)) continue
    seen.add(key)
    visit(key, hits.scores[i]!, address)
  }
  return seen.size === keep
}

/** The hits of one query with their payloads. */
export const readHits = (rows: Rows, hits: Hits, keep: number): Used<ReadonlyArray<Hit>> => {
  const value: Array<Hit> = []
  const complete = forEachHit(rows, hits, 0, keep, (key, score, address) =>
    value.push({ key, score, payload: rows.records.payload(address) })
  )
  return { value, complete }
}

/** The keys and scores of many queries. */
export const readHitColumns = (rows: Rows, hits: Hits, keep: number): Used<HitColumns> => {
  const queries = hits.counts.length
  const keys: Array<string> = new Array(queries * keep).fill("")
  const scores = new Float32Array(queries * keep)
  const counts = new Uint32Array(queries)
  let complete = true
  for (let query = 0; query < queries; query++) {
    const all = forEachHit(rows, hits, query, keep, (key, score) => {
      const at = query * keep + counts[query]!++
      keys[at] = key
      scores[at] = score
    })
    complete &&= all
  }
  return { value: { keys, scores, counts }, complete }
}

/** What is stored in a live row. */
export const readEntry = (rows: Rows, row: number): Entry => {
  const address = addressOf(rows, row)
  return { key: rows.records.key(address), payload: rows.records.payload(address), vector: vectorOf(rows, row) }
}
