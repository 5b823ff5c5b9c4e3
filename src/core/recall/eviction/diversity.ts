/**
 * Who gives way is of two items that say nearly the same: the less useful of the pair, or the older one.
 *
 * Pairs are looked for among a sample, so that a large pool costs no more than a small one; a pool of up to as many
 * items is looked at whole.
 */
import { type EvictableItems, type EvictionPolicy, untilMet } from "./policy.ts"

const SAMPLED = 256

interface Pair {
  /** The one that may go. */
  readonly row: number
  readonly other: number
  readonly similarity: number
}

export const diversity: EvictionPolicy = {
  victims: async (items, demand) => {
    const sample = sampled(items)
    const pairs = await nearestPairs(items, sample)
    const chosen = new Set<number>()
    const paired = new Set<number>()
    for (const { row, other } of pairs) {
      // The other of a pair stays for now: without its twin it may say what nobody else does.
      if (paired.has(row) || paired.has(other)) continue
      paired.add(row).add(other)
      chosen.add(row)
    }
    const others = items.rows().filter((row) => !chosen.has(row))
    others.sort((a, b) => items.usefulness(a) - items.usefulness(b) || items.cameAt(a) - items.cameAt(b))
    return untilMet(items, demand, [...chosen, ...others])
  }
}

/** Rows spread evenly over all. */
const sampled = (items: EvictableItems): ReadonlyArray<number> => {
  const rows = items.rows()
  if (rows.length <= SAMPLED) return rows
  return Array.from({ length: SAMPLED }, (_, i) => rows[Math.floor((i * rows.length) / SAMPLED)]!)
}

/** Each sampled item with its nearest other, the one that may go first; most alike first. */
const nearestPairs = async (items: EvictableItems, sample: ReadonlyArray<number>): Promise<ReadonlyArray<Pair>> => {
  if (sample.length === 0) return []
  const found = await items.index.nearestOfEach(items.vectorsOf(sample), { k: 2 })
  const pairs = sample.flatMap((row, i) => {
    const near = found[i]!.find((one) => one.row !== row)
    if (near === undefined) return []
    const order = items.usefulness(row) - items.usefulness(near.row) || items.cameAt(row) - items.cameAt(near.row)
    const [first, other] = order < 0 ? [row, near.row] : [near.row, row]
    return [{ row: first, other, similarity: near.similarity }]
  })
  return pairs.sort((a, b) => b.similarity - a.similarity || items.cameAt(a.row) - items.cameAt(b.row))
}
