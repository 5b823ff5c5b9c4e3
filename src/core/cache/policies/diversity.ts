/**
 * Frequency x recomputation cost x (1 - coverage by near neighbours): of a cluster of near duplicates some give way first,
 * because those that stay answer for them.
 *
 * The frequency of a row is a byte that is halved as a hand passes, its coverage another. Coverage is given when the later
 * of two neighbours is written, to the one that answered less: were both covered by each other, both would go.
 */
import { Ageing } from "./ageing.ts"
import type { EvictionPolicy, Neighbour, PolicyRows } from "./policy.ts"

/** A served row counts so much, so that halving leaves something of it. */
const USE = 16
const MOST = 255
/** The hand halves a frequency once in so many rounds. */
const ROUNDS_A_HALVING = 16
/** Cosine from which one question may answer for another. */
const LEAST_SIMILARITY = 0.75
/** Milliseconds of an answer of which nothing is known. */
const USUAL_COST_MS = 1

export const diversity = (rows: PolicyRows): EvictionPolicy => {
  let round = 0
  const ageing = new Ageing(rows, (row) => {
    if (row === 0) round = (round + 1) % ROUNDS_A_HALVING
    if (round !== 0) return
    const { frequency, slot } = rows.marks(row)
    frequency[slot]! >>>= 1
  })
  const use = (row: number) => {
    const { frequency, slot } = rows.marks(row)
    frequency[slot] = Math.min(MOST, frequency[slot]! + USE)
  }
  const cover = (row: number, { similarity }: Neighbour) => {
    const { flags, slot } = rows.marks(row)
    const share = Math.max(0, (similarity - LEAST_SIMILARITY) / (1 - LEAST_SIMILARITY))
    flags[slot] = Math.max(flags[slot]!, Math.min(MOST, Math.round(MOST * share)))
  }
  return {
    name: "diversity",
    wantsNeighbours: true,
    stored: (row, neighbour) => {
      ageing.step()
      const { frequency, flags, slot } = rows.marks(row)
      frequency[slot] = USE
      flags[slot] = 0
      if (neighbour === undefined) return
      const before = rows.marks(neighbour.row)
      // The newer one is what is asked now: the older gives way, unless it was served since.
      if (before.frequency[before.slot]! > USE) cover(row, neighbour)
      else cover(neighbour.row, { row, similarity: neighbour.similarity })
    },
    served: (row) => {
      ageing.step()
      use(row)
    },
    worth: (row) => {
      const { frequency, flags, slot } = rows.marks(row)
      const cost = Math.max(USUAL_COST_MS, rows.at(row)?.took ?? 0)
      return (1 + frequency[slot]!) * cost * (1 - flags[slot]! / (MOST + 1))
    }
  }
}
