/**
 * Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): hits that are near the query and unlike one another.
 *
 * A candidate is worth `lambda * score - (1 - lambda) * nearest`, where `nearest` is the largest score it has against a
 * hit chosen before it, and 0 where there is none. The best is chosen again and again; ties go to the better ranked.
 */
import type { SearchPlan } from "./contract.ts"
import { type Candidates, chosenFast, keepsWorth } from "./diversity-fast.ts"
import { dotF32 } from "./dot.ts"
import { l2F32 } from "./l2.ts"
import { METRIC } from "./shape.ts"

/** How many of `found` candidates are looked at. */
export const fetched = ({ fetch = 0 }: SearchPlan, found: number): number => Math.min(found, fetch)

/** Positions of the chosen candidates in the order of the choice. */
export const diverse = (plan: SearchPlan, candidates: Candidates): ReadonlyArray<number> => {
  const { dimensions, keep, lambda = 1, fast = false } = plan
  const { scores, vectors } = candidates
  const score = (a: number, b: number): number => {
    const query = vectors.subarray(a * dimensions, (a + 1) * dimensions)
    const from = b * dimensions
    return Math.fround(
      plan.metric === METRIC.l2 ? -l2F32(query, vectors, from, dimensions) : dotF32(query, vectors, from, dimensions)
    )
  }
  if (fast && keepsWorth({ keep, lambda }, scores.length))
    return chosenFast(candidates, { dimensions, metric: plan.metric, keep, lambda })
  const left = Array.from(scores, (_, at) => at)
  const nearest = left.map(() => Number.NEGATIVE_INFINITY)
  const chosen: Array<number> = []
  while (chosen.length < keep && left.length > 0) {
    const value = (at: number) => lambda * scores[at]! - (chosen.length === 0 ? 0 : (1 - lambda) * nearest[at]!)
    const best = left.reduce((best, at) => (value(at) > value(best) ? at : best))
    left.splice(left.indexOf(best), 1)
    chosen.push(best)
    for (const at of left) nearest[at] = Math.max(nearest[at]!, score(at, best))
  }
  return chosen
}
