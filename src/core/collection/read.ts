/** Hits and entries as callers see them, read from rows under a claim or on the owner's thread. */
import type { HitReader, Search } from "../search/search.ts"
import { addressOf, fieldsOf, isCurrent, type Rows, scopeOf, vectorOf } from "../store/rows.ts"
import type { Entry, Payload } from "./entries.ts"
import type { FieldValues } from "./fields.ts"

export interface Hit {
  readonly key: string
  /** Higher is nearer: cosine similarity, inner product, or minus the squared distance. */
  readonly score: number
  readonly payload: Payload
  /** Absent in a collection without fields. */
  readonly fields?: FieldValues
}

/** Hits of many queries in flat arrays: hit `i` of query `q` is at `q * k + i`. */
export interface HitColumns {
  /** `""` beyond the count of a query. */
  readonly keys: ReadonlyArray<string>
  readonly scores: Float32Array
  /** Hits of each query: `k`, or fewer when the collection holds fewer. */
  readonly counts: Uint32Array
}

/** What the hits of a view are read from. */
export interface HitSource {
  readonly rows: Rows
  /** Code of the namespace of the view; undefined when nothing was written in it. */
  readonly scope: () => number | undefined
}

/**
 * Reads the hits of a query that are still what the search saw. A row that was deleted or reused
 * since is left out, and of two rows of one key, met while an update switched from one to the other,
 * only the nearer counts. Whatever was searched, no row of another namespace is passed on.
 */
const freshHits = <A>(
  { rows, scope }: HitSource,
  keep: number,
  read: (row: number, address: number) => A,
  visit: (key: string, score: number, found: A) => void
): HitReader => {
  const seen = new Set<string>()
  const namespace = scope()
  return {
    take: (hits, i) => {
      const row = hits.rows[i]!
      if (!isCurrent(rows, row, hits.generations[i]!) || scopeOf(rows, row) !== namespace) return
      const address = addressOf(rows, row)
      const key = rows.records.key(address)
      if (seen.has(key)) return
      const found = read(row, address)
      // Fields may change in place: what was read is theirs only while the generation stands.
      if (!isCurrent(rows, row, hits.generations[i]!)) return
      seen.add(key)
      visit(key, hits.scores[i]!, found)
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
export const hitList = (source: HitSource, keep: number): HitSink<ReadonlyArray<Hit>> => {
  const { rows } = source
  let hits: Array<Hit> = []
  const read = (row: number, address: number) => ({ payload: rows.records.payload(address), ...fieldsOfRow(rows, row) })
  return {
    reader: () => {
      hits = []
      return freshHits(source, keep, read, (key, score, found) => hits.push({ key, score, ...found }))
    },
    result: () => hits
  }
}

/** The fields of a row as a property, which is absent in a collection without fields. */
const fieldsOfRow = (rows: Rows, row: number): { readonly fields?: FieldValues } => {
  const fields = fieldsOf(rows, row)
  return fields === undefined ? {} : { fields }
}

/** The keys and scores of many queries. */
export const hitColumns = (source: HitSource, queries: number, keep: number): HitSink<HitColumns> => {
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
      return freshHits(source, keep, nothing, (key, score) => {
        const at = from + counts[query]!++
        keys[at] = key
        scores[at] = score
      })
    },
    result: () => ({ keys, scores, counts })
  }
}

const nothing = () => undefined

/** What is stored in a live row. */
export const readEntry = (rows: Rows, row: number): Entry => {
  const address = addressOf(rows, row)
  return {
    key: rows.records.key(address),
    payload: rows.records.payload(address),
    vector: vectorOf(rows, row),
    ...fieldsOfRow(rows, row)
  }
}
