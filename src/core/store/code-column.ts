/** Codes moved from slot to slot: with their factor and norm they are the same in any codes buffer. */
import type { CodeColumns } from "../kernels/columns.ts"
import { BLOCK, CODE_BLOCK_BYTES } from "./layout.ts"

/** Copies the code of a slot of one buffer to a slot of another of the same metric. */
export const copyCode = (from: CodeColumns, fromSlot: number, to: CodeColumns, toSlot: number): void => {
  const source = Math.floor(fromSlot / BLOCK) * CODE_BLOCK_BYTES + (fromSlot % BLOCK)
  const target = Math.floor(toSlot / BLOCK) * CODE_BLOCK_BYTES + (toSlot % BLOCK)
  for (let at = 0; at < CODE_BLOCK_BYTES; at += BLOCK) to.codes[target + at] = from.codes[source + at]!
  to.factors[toSlot] = from.factors[fromSlot]!
  if (to.norms.length > 0) to.norms[toSlot] = from.norms[fromSlot]!
}
