/** Codes moved from slot to slot: with their factor and norm, where signs have them, they are the same in any codes buffer. */
import type { CodeColumns } from "../kernels/columns.ts"
import { BLOCK } from "./layout.ts"

/** Copies the code of a slot of one buffer to a slot of another of the same kind and metric. */
export const copyCode = (from: CodeColumns, fromSlot: number, to: CodeColumns, toSlot: number): void => {
  const { blockBytes } = from
  const source = Math.floor(fromSlot / BLOCK) * blockBytes + (fromSlot % BLOCK)
  const target = Math.floor(toSlot / BLOCK) * blockBytes + (toSlot % BLOCK)
  for (let at = 0; at < blockBytes; at += BLOCK) to.codes[target + at] = from.codes[source + at]!
  if (to.factors.length > 0) to.factors[toSlot] = from.factors[fromSlot]!
  if (to.norms.length > 0) to.norms[toSlot] = from.norms[fromSlot]!
}
