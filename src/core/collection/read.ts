/** Hits and entries as callers see them, read from rows under a claim or on the owner's thread. */
import type { HitReader, Search } from "../search/search.ts"
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
 * Reads the hits of a query that are still what the search saw. A row that was deleted or reused
 * since is left out, and of two rows of one key, met while an update switched from one to the other,
 * only the nearer counts.
 */
const freshHits = (
  rows: Rows,
  keep: number,
  visit: (key: string, score: number, address: number) => void
): HitReader => {
  const seen = new Set<string>()
  return {
    take: (hits, i) => {
      const row = hits.rows[i]!
      if (!isCurrent(rows, row, hits.generations[i]!)) return
      const address = addressOf(rows, row)
      const key = rows.records.key(address)
      if (seen.has(key)) return
      seen.add(key)
      visit(key, hits.scores[i]!, address)
    },
    isComplete: () => seen.size === keep
  }
}

/** What the hits of a search are read into. */
export interface HitSink<A> {
  readonly reader: Search["reader"]
  readonly result: () => A
}

/** The hits of one query with their payloads. */
export const hitList = (rows: Rows, keep: number): HitSink<ReadonlyArray<Hit>> => {
  let found: Array<Hit> = []
  return {
    reader: () => {
      found = []
      return freshHits(rows, keep, (key, score, address) =>
        found.push({ key, score, payload: rows.records.payload(address) })
      )
    },
    result: () => found
  }
}

/** The keys and scores of many queries. */
export const hitColumns = (rows: Rows, queries: number, keep: number): HitSink<HitColumns> => {
  const keys: Array<string> = new Array(queries * keep).fill("")
  const scores = new Float32Array(queries * keep)
  const counts = new Uint32Array(queries)
  return {
    reader: (query) => {
      const from = query * keep
      // Of an earlier reading nothing may be left.
      keys.fill("", from, from + counts[query]!)
      scores.fill(0, from, from + counts[query]!)
      counts[query] = 0
      return freshHits(rows, keep, (key, score) => {
        const at = from + counts[query]!++
        keys[at] = key
        scores[at] = score
      })
    },
    result: () => ({ keys, scores, counts })
  }
}

/** What is stored in a live row. */
export const readEntry = (rows: Rows, row: number): Entry => {
  const address = addressOf(rows, row)
  return { key: rows.records.key(address), payload: rows.records.payload(address), vector: vectorOf(rows, row) }
}
