/** What a recall costs, from the settings that were measured. */

/** A setting's recall, and what it costs: microseconds, or seconds a query for rates. */
export interface Priced {
  readonly recall: number
  readonly cost: number
}

/** Settings that no other beats in both, by increasing recall and so by increasing cost. */
export const frontier = <P extends Priced>(points: ReadonlyArray<P>): ReadonlyArray<P> => {
  const byCost = [...points].sort((a, b) => a.cost - b.cost || b.recall - a.recall)
  const kept: Array<P> = []
  for (const point of byCost) if (point.recall > (kept.at(-1)?.recall ?? -1)) kept.push(point)
  return kept
}

/**
 * Cost of a recall on one configuration's frontier: between the two settings about it, the logarithm of the cost
 * is taken to be linear in the recall. The quickest setting's cost when that recalls more already; undefined when none
 * recalls as much.
 */
export const costAt = (points: ReadonlyArray<Priced>, recall: number): number | undefined => {
  const kept = frontier(points)
  const above = kept.findIndex((point) => point.recall >= recall)
  const upper = kept[above]
  const lower = kept[above - 1]
  if (upper === undefined || lower === undefined) return upper?.cost
  const share = (recall - lower.recall) / (upper.recall - lower.recall)
  return lower.cost * (upper.cost / lower.cost) ** share
}
