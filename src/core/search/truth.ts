/** What is nearest to queries that are stored themselves, and how much of it a search finds: counted in pool workers. */
import type { Hits } from "../kernels/contract.ts"
import { norm2 } from "../kernels/norm.ts"
import { METRIC } from "../kernels/shape.ts"

/** Relative difference of scores that rounding explains. */
const ROUNDING = 1e-6
/** The same of a score that is summed here, in another order than that of a search. */
const LARGER_ROUNDING = 1e-5

/** Stored vectors that serve as queries, and rows that count neither as near nor as found. */
export interface Asked {
  /** The row that each query is itself. */
  readonly rows: Uint32Array
  readonly aside: Uint32Array
  /** Numbers of nearest rows. */
  readonly ks: ReadonlyArray<number>
}

/** What an exact search says of the queries of one task. Of each of `ks` in turn, a value a query. */
export interface Truth extends Asked {
  /** What each query scores itself, NaN where neither it nor an equal of it was found. */
  readonly own: Float32Array
  /** Whether a row equals the query. */
  readonly hasEquals: Uint8Array
  /** How many nearest rows there are: fewer than `k` in a small store, none where equals kept them from being seen. */
  readonly wanted: Uint16Array
  /** The score of the last of them. */
  readonly least: Float32Array
}

/** How many of the nearest rows are among so many first candidates. */
export interface Found {
  /** Growing. */
  readonly depths: ReadonlyArray<number>
  /** Of each of the truth's `ks` and of `depths` in turn, a value a query. */
  readonly counts: Uint16Array
}

/** Of an exact search for `vectors` that keeps more than the queries themselves, rows aside and the largest `k`. */
export const truthOf = (exact: Hits, vectors: Float32Array, metric: number, asked: Asked): Truth => {
  const { rows, ks } = asked
  const queries = rows.length
  const dimensions = vectors.length / queries
  const most = exact.rows.length / queries
  const own = new Float32Array(queries).fill(Number.NaN)
  const hasEquals = new Uint8Array(queries)
  const wanted = new Uint16Array(ks.length * queries)
  const least = new Float32Array(ks.length * queries)
  const aside = new Set(asked.aside)
  for (let query = 0; query < queries; query++) {
    const places = placesOf(exact, query)
    const self = places.find((at) => exact.rows[at] === rows[query])
    if (self !== undefined) own[query] = exact.scores[self]!
    else own[query] = scoreOfEqual(exact, places, norm2(vectors, query * dimensions, dimensions), metric)
    const near = places.filter((at) => exact.rows[at] !== rows[query] && !aside.has(exact.rows[at]!))
    const nearest = near.filter((at) => !isEqual(exact.scores[at]!, own[query]!))
    hasEquals[query] = self === undefined || near.length > nearest.length ? 1 : 0
    for (const [which, k] of ks.entries()) {
      const isHidden = nearest.length < Math.min(k, near.length) && places.length === most
      const count = isHidden ? 0 : Math.min(k, nearest.length)
      wanted[which * queries + query] = count
      least[which * queries + query] = exact.scores[nearest[count - 1]!] ?? Number.NaN
    }
  }
  return { ...asked, own, hasEquals, wanted, least }
}

/**
 * The score of a query with itself, as that of an equal says it, where those are so many that it was not found itself;
 * NaN where none was found either, as with inner products of short vectors. With cosine it is the length of the row as it
 * is stored, near 1 in few bits: searches bring the query alone to length 1.
 */
const scoreOfEqual = ({ scores }: Hits, places: ReadonlyArray<number>, squared: number, metric: number): number => {
  const own = metric === METRIC.l2 ? 0 : metric === METRIC.cosine ? Math.sqrt(squared) : squared
  const equal = places.find((at) => Math.abs(scores[at]! - own) <= LARGER_ROUNDING * squared)
  return equal === undefined ? Number.NaN : scores[equal]!
}

/**
 * Candidates in order of their estimates, the query itself, its equals and rows aside left out. One counts as found
 * when its score is at least that of the `k`-th nearest: of rows that are equally near, any will do.
 */
export const foundOf = (hits: Hits, truth: Truth, depths: ReadonlyArray<number>): Found => {
  const { rows, own, ks, wanted, least } = truth
  const queries = rows.length
  const aside = new Set(truth.aside)
  const counts = new Uint16Array(ks.length * depths.length * queries)
  for (let query = 0; query < queries; query++) {
    const candidates = placesOf(hits, query)
      .filter((at) => hits.rows[at] !== rows[query] && !aside.has(hits.rows[at]!))
      .filter((at) => !isEqual(hits.scores[at]!, own[query]!))
      .sort((a, b) => hits.estimates[b]! - hits.estimates[a]! || hits.rows[a]! - hits.rows[b]!)
    for (const which of ks.keys()) {
      let near = 0
      let looked = 0
      for (const [step, depth] of depths.entries()) {
        for (const end = Math.min(depth, candidates.length); looked < end; looked++) {
          if (hits.scores[candidates[looked]!]! >= least[which * queries + query]!) near++
        }
        counts[(which * depths.length + step) * queries + query] = Math.min(near, wanted[which * queries + query]!)
      }
    }
  }
  return { depths, counts }
}

const isEqual = (score: number, own: number): boolean => Math.abs(score - own) <= ROUNDING * Math.abs(own)

/** Where the hits of a query lie in the arrays of its task. */
const placesOf = ({ rows, counts }: Hits, query: number): Array<number> => {
  const from = query * (rows.length / counts.length)
  return Array.from({ length: counts[query]! }, (_, i) => from + i)
}

/** The mean share that is found of the nearest, and its standard error. */
interface Recall {
  readonly recall: number
  readonly error: number
}

/**
 * Over all tasks, among the first `depth` candidates for `k` nearest rows; of queries without equals alone, if asked.
 * Nothing is promised where fewer than half of the queries told anything, as where nearly all rows have many equals.
 */
export const recallOf = (
  truths: ReadonlyArray<Truth>,
  found: ReadonlyArray<Found>,
  k: number,
  depth: number,
  withoutEquals = false
): Recall => {
  const shares: Array<number> = []
  const queries = truths.reduce((sum, { rows }) => sum + rows.length, 0)
  for (const [task, { rows, ks, wanted, hasEquals }] of truths.entries()) {
    const which = ks.indexOf(k)
    const { depths, counts } = found[task]!
    const first = (which * depths.length + depths.indexOf(depth)) * rows.length
    for (let query = 0; query < rows.length; query++) {
      const all = wanted[which * rows.length + query]!
      if (all > 0 && !(withoutEquals && hasEquals[query])) shares.push(counts[first + query]! / all)
    }
  }
  if (shares.length === 0 || 2 * shares.length < queries) return { recall: 0, error: 0 }
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length
  return { recall: mean, error: Math.sqrt(variance / shares.length) }
}
