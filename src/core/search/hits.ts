/** Flat result arrays of a search, and how those of shards become one. */
import type { Hits, SearchPlan } from "../kernels/contract.ts"
import { TopRows } from "../kernels/select.ts"
import { forEachSliced } from "../slice.ts"

export const newHits = (queries: number, keep: number): Hits => ({
  rows: new Uint32Array(queries * keep),
  generations: new Uint16Array(queries * keep),
  scores: new Float32Array(queries * keep),
  estimates: new Float32Array(queries * keep),
  counts: new Uint32Array(queries)
})

/**
 * Merges what shards of `whole` found: the best `rerank` candidates by estimate, then of those
 * the best `keep` by score. Ties go to the lower row, as in one scan. Under a filter a shard may have scored
 * every row instead of estimating them: then all candidates stay, whatever their estimates.
 */
export const merge = async (
  parts: ReadonlyArray<Hits>,
  whole: SearchPlan,
  queries: number,
  filtered = false
): Promise<Hits> => {
  const merged = newHits(queries, whole.keep)
  await forEachSliced(queries, undefined, (query) => mergeQuery(parts, whole, query, filtered, merged), 1)
  return merged
}

const mergeQuery = (
  parts: ReadonlyArray<Hits>,
  { keep, rerank }: SearchPlan,
  query: number,
  filtered: boolean,
  merged: Hits
): void => {
  const stride = Math.max(keep, rerank)
  const forEachFound = (visit: (part: Hits, at: number) => void) => {
    for (const part of parts) {
      for (let at = query * stride; at < query * stride + part.counts[query]!; at++) visit(part, at)
    }
  }
  const candidates = new TopRows(stride)
  forEachFound((part, at) => candidates.offer(part.estimates[at]!, part.rows[at]!))
  const { rows, scores: estimates } = candidates.take()
  const last = rerank > 0 && !filtered ? rows.length - 1 : -1
  const isCandidate = (estimate: number, row: number) =>
    last < 0 || estimate > estimates[last]! || (estimate === estimates[last] && row <= rows[last]!)
  const best = new TopRows(keep)
  forEachFound((part, at) => {
    if (isCandidate(part.estimates[at]!, part.rows[at]!)) best.offer(part.scores[at]!, part.rows[at]!)
  })
  const found = best.take()
  merged.counts[query] = found.rows.length
  merged.rows.set(found.rows, query * keep)
  merged.scores.set(found.scores, query * keep)
  const places = new Map(Array.from(found.rows, (row, rank) => [row, query * keep + rank]))
  forEachFound((part, at) => {
    const to = places.get(part.rows[at]!)
    if (to === undefined) return
    merged.generations[to] = part.generations[at]!
    merged.estimates[to] = part.estimates[at]!
  })
}
