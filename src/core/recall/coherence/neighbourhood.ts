/**
 * Agreement with the pool's neighbourhood: how similar an item is to the items nearest to it, against how similar the
 * pool's own items are to theirs.
 *
 * 1 for an item that is as near to its neighbours as the pool's own on average, or nearer; from there it falls by one
 * eighth with each standard deviation of theirs, so that the usual threshold of .75 passes what is at most two below.
 */
import { object, wholeNumber } from "../../checked.ts"
import type { Coherence, Surroundings } from "./coherence.ts"

/** Items that the pool's own distribution is measured on. */
const SAMPLED = 64
/** Standard deviations that take all of the coherence. */
const DEVIATIONS = 8
/** Items that are all alike have no spread: what differs a little is let in. */
const LEAST_DEVIATION = 0.02
/** Share of the pool that changes before its distribution is measured again. */
const CHANGED = 0.1

export interface NeighbourhoodOptions {
  /** Neighbours, 1..64. Default 5. */
  readonly k?: number | undefined
}

interface Own {
  readonly mean: number
  readonly deviation: number
  readonly generation: number
}

const mean = (numbers: ReadonlyArray<number>): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length

export const neighbourhoodCoherence = (options: NeighbourhoodOptions = {}): Coherence => {
  const { k = 5 } = object("options", options)
  wholeNumber("k", k, 1, 64)
  const measured = new WeakMap<object, Own>()

  /** Mean similarity of the pool's own items to their nearest others, and its spread. */
  const ownOf = async ({ index, generation, size, sample }: Surroundings): Promise<Own> => {
    const known = measured.get(index)
    if (known !== undefined && generation - known.generation <= CHANGED * size) return known
    // The nearest of each is itself, or an equal that is as good.
    const found = await index.nearestOfEach(sample(SAMPLED), { k: k + 1 })
    const means = found.map((near) => mean(near.slice(1).map(({ similarity }) => similarity)))
    const centre = mean(means)
    const deviation = Math.sqrt(mean(means.map((one) => (one - centre) ** 2)))
    const own = { mean: centre, deviation: Math.max(deviation, LEAST_DEVIATION), generation }
    measured.set(index, own)
    return own
  }

  return {
    id: `neighbourhood-${k}`,
    measure: async ({ embedding }, pool) => {
      if (pool.size <= k) return { score: 1, reason: `a pool of ${pool.size} has no neighbourhood of ${k} yet` }
      const near = await pool.index.nearest(embedding, { k })
      const similarity = mean(near.map((one) => one.similarity))
      const own = await ownOf(pool)
      const below = Math.max(0, (own.mean - similarity) / own.deviation)
      const shown = `mean similarity ${similarity.toFixed(3)} to the ${near.length} nearest`
      return {
        score: Math.max(0, 1 - below / DEVIATIONS),
        reason: `${shown}, ${below.toFixed(1)} deviations below the pool's own ${own.mean.toFixed(3)}`
      }
    }
  }
}
