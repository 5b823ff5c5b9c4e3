/** Where columns start in buffers that V8 aligns to 16 bytes only. */
import type { Kernels } from "../kernels/contract.ts"
import { ALIGNMENT } from "./layout.ts"

/** The part of a padded buffer that starts on a multiple of 64 in memory. */
export const aligned = (kernels: Pick<Kernels, "alignmentPad">, buffer: SharedArrayBuffer): Uint8Array =>
  new Uint8Array(buffer, kernels.alignmentPad(new Uint8Array(buffer)), buffer.byteLength - ALIGNMENT)
