/** The memory behind the ranges of an image: what is written from, and read into. */
import type { Kernels } from "../../kernels/contract.ts"
import { aligned } from "../aligned.ts"
import type { ListBuffers } from "../list-columns.ts"
import type { Store } from "../store.ts"
import type { Range } from "./ranges.ts"

type StoreMemory = Pick<Store, "segments" | "columns" | "codes" | "keys">

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** The bytes of any range but records and lists, whose record addresses are given one segment at a time. */
export const memoryOf = (store: StoreMemory, addressesOf: (segment: number) => Uint32Array, range: Range): Uint8Array =>
  buffer(store, addressesOf, range).subarray(range.from, range.from + range.bytes)

/** The buffer of a range of lists. */
export const listsMemory = (kernels: Kernels, { centroids, heads, chunks }: ListBuffers, range: Range): Uint8Array => {
  const whole = range.buffer === "centroids" ? centroids : range.buffer === "heads" ? heads : undefined
  const { codes, links } = chunks[range.segment] ?? {}
  const padded = range.buffer === "codes" ? codes : links
  const bytes = whole === undefined ? aligned(kernels, padded!) : new Uint8Array(whole)
  return bytes.subarray(range.from, range.from + range.bytes)
}

const buffer = (
  { segments, columns, codes, keys }: StoreMemory,
  addressesOf: (segment: number) => Uint32Array,
  range: Range
): Uint8Array => {
  if (range.section === "encoder") return bytesOf(codes.encoder.parameters)
  if (range.section === "keys") return bytesOf(keys.current)
  if (range.buffer === "rows") return segments[range.segment]!.rows
  return range.buffer === "codes" ? columns.codes[range.segment]! : bytesOf(addressesOf(range.segment))
}
