/**
 * Frequency x recomputation cost x (1 - coverage by near neighbours): of a cluster of near duplicates some give way
 * first, because those that stay answer for them.
 *
 * Coverage is not guessed from distances, it is seen: a hit that another entry near it would have been counts for a fifth.
 * So what is kept of a row is one number of two bytes, how often it alone had the answer of late.
 */
import { Ageing } from "./ageing.ts"
import type { EvictionPolicy, PolicyRows } from "./policy.ts"

/** What a use counts where nothing else would have been served, and where something would. */
const USE = 2048
const COVERED_USE = 410
const MOST = 0xffff
/** The hand takes a twelfth once in so many rounds: uses count for half after four events for each row. */
const ROUNDS_A_STEP = 32
const KEPT = 11 / 12
/** Milliseconds of an answer of which nothing is known. */
const USUAL_COST_MS = 1

export const diversity = (rows: PolicyRows): EvictionPolicy => {
  const usesOf = (row: number): number => {
    const { frequency, flags, slot } = rows.marks(row)
    return 256 * frequency[slot]! + flags[slot]!
  }
  const setUses = (row: number, uses: number): void => {
    const { frequency, flags, slot } = rows.marks(row)
    frequency[slot] = uses >>> 8
    flags[slot] = uses & 0xff
  }
  let round = 0
  const ageing = new Ageing(rows, (row) => {
    if (row === 0) round = (round + 1) % ROUNDS_A_STEP
    if (round === 0) setUses(row, Math.floor(usesOf(row) * KEPT))
  })
  return {
    name: "diversity",
    stored: (row) => {
      ageing.step()
      setUses(row, USE)
    },
    served: (row, isCovered) => {
      ageing.step()
      setUses(row, Math.min(MOST, usesOf(row) + (isCovered ? COVERED_USE : USE)))
    },
    worth: (row) => (1 + usesOf(row)) * Math.max(USUAL_COST_MS, rows.at(row)?.took ?? 0)
  }
}
