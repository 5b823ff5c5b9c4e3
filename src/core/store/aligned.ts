/** Where columns start in buffers that V8 aligns to 16 bytes only. */
import type { Kernels } from "../kernels/contract.ts"
import { ALIGNMENT, HUGE_PAGE } from "./layout.ts"

/** A buffer whose aligned part has `bytes`. One that fills a huge page starts on one: it can be all in huge pages. */
export const newAligned = (bytes: number): SharedArrayBuffer =>
  new SharedArrayBuffer(bytes + (bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT))

// What fills a huge page has another as padding.
const alignmentOf = (buffer: SharedArrayBuffer): number => (buffer.byteLength >= 2 * HUGE_PAGE ? HUGE_PAGE : ALIGNMENT)

/** Bytes of the aligned part. */
export const alignedBytes = (buffer: SharedArrayBuffer): number => buffer.byteLength - alignmentOf(buffer)

/** The part of such a buffer that starts on a multiple of 64 in memory, or of a huge page. */
export const aligned = (kernels: Pick<Kernels, "alignmentPad">, buffer: SharedArrayBuffer): Uint8Array => {
  const pad = kernels.alignmentPad(new Uint8Array(buffer), alignmentOf(buffer))
  return new Uint8Array(buffer, pad, alignedBytes(buffer))
}
