/** Least recently used, to the resolution of a byte that counts down while a row is not used. */
import { Ageing } from "./ageing.ts"
import type { EvictionPolicy, PolicyRows } from "./policy.ts"

const NEWEST = 255

export const lru = (rows: PolicyRows): EvictionPolicy => {
  const ageing = new Ageing(rows, (row) => {
    const { flags, slot } = rows.marks(row)
    if (flags[slot]! > 0) flags[slot]!--
  })
  const used = (row: number) => {
    ageing.step()
    const { flags, slot } = rows.marks(row)
    flags[slot] = NEWEST
  }
  return {
    name: "lru",
    stored: used,
    served: used,
    worth: (row) => {
      const { flags, slot } = rows.marks(row)
      return flags[slot]!
    }
  }
}
