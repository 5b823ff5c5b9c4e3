/**
 * Who gives way is of two items that say nearly the same: the less useful of the pair, or the older one.
 *
 * Pairs are looked for among a sample, so that a large pool costs no more than a small one; a pool of up to as many
 * items is looked at whole.
 */
import { type EvictableItems, type EvictionPolicy, Victims } from "./policy.ts"
import { leastUseful } from "./ranked.ts"

const SAMPLED = 256
/** Steps of a sample against the next one, by the golden ratio: they come between all that were before. */
const STEP = 0.618_033_988_749_895

/** An item that may go, and when it came: another in its row is not it. */
interface One {
  readonly row: number
  readonly came: number
}

interface Pair {
  /** The one that may go. */
  readonly first: One
  readonly other: One
  readonly similarity: number
}

export const diversity = (): EvictionPolicy => {
  const others = leastUseful()
  /** Pairs of the last sample, most alike first: in a large pool they serve until none is left. */
  let pairs: ReadonlyArray<Pair> = []
  let moved = 0
  let samples = 0

  const isStill = (items: EvictableItems, { row, came }: One): boolean => items.has(row) && items.cameAt(row) === came

  /** Takes of each pair the one that may go. */
  const take = (items: EvictableItems, victims: Victims): void => {
    const paired = new Set<number>()
    for (const { first, other } of pairs) {
      if (victims.isEnough) return
      // The other of a pair stays for now: without its twin it may say what nobody else does.
      if (paired.has(first.row) || paired.has(other.row)) continue
      if (!isStill(items, first) || !isStill(items, other)) continue
      paired.add(first.row).add(other.row)
      victims.take(first.row)
    }
  }

  return {
    victims: async (items, demand) => {
      const victims = new Victims(items, demand)
      if (items.size > SAMPLED && items.moved() === moved) take(items, victims)
      if (!victims.isEnough) {
        moved = items.moved()
        pairs = await nearestPairs(items, items.spread(SAMPLED, (STEP * samples++) % 1))
        take(items, victims)
      }
      if (victims.isEnough) return [...victims.rows]
      // Only as far as pairs do not go.
      for (const row of await others.victims(items, demand)) if (!victims.isEnough) victims.take(row)
      return [...victims.rows]
    }
  }
}

/** Each sampled item with its nearest other, the one that may go first; most alike first. */
const nearestPairs = async (items: EvictableItems, sample: ReadonlyArray<number>): Promise<ReadonlyArray<Pair>> => {
  if (sample.length === 0) return []
  const came = sample.map((row) => items.cameAt(row))
  const found = await items.index.nearestOfEach(items.vectorsOf(sample), { k: 2 })
  const pairs = sample.flatMap((row, i) => {
    const near = found[i]!.find((one) => one.row !== row)
    // An item that went or moved while the others were looked for.
    if (near === undefined || !items.has(row) || items.cameAt(row) !== came[i] || !items.has(near.row)) return []
    const [one, other] = [row, near.row].map((row) => ({ row, came: items.cameAt(row) })) as [One, One]
    const order = items.usefulness(one.row) - items.usefulness(other.row) || one.came - other.came
    return [{ first: order < 0 ? one : other, other: order < 0 ? other : one, similarity: near.similarity }]
  })
  return pairs.sort((a, b) => b.similarity - a.similarity || a.first.came - b.first.came)
}
