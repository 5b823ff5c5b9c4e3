/** The body of an image, read straight into memory and verified on other threads. */
import type { FileHandle } from "node:fs/promises"
import type { Kernels } from "../../kernels/contract.ts"
import { fails } from "../file-failure.ts"
import type { Invalid } from "./invalid.ts"
import { CHECKED_BYTES, type Range } from "./ranges.ts"
import { readVectored } from "./vectored.ts"

/** Bytes of one read: still in cache when they are verified, and far below what a call can take. */
const READ_BYTES = 4 * CHECKED_BYTES
/** Reads in flight: faults on fresh pages cost more than the copy, and run on every core at once. */
const LANES = 4

interface BodyTarget {
  readonly path: string
  readonly ranges: ReadonlyArray<Range>
  readonly memoryOf: (range: Range) => Uint8Array
  readonly checksums: Uint32Array
}

/** Whole blocks of one range. */
interface Piece {
  readonly view: Uint8Array
  readonly offset: number
  readonly section: string
  readonly checksums: Uint32Array
}

export const readBody = async (
  kernels: Pick<Kernels, "verifyBlocks">,
  file: Pick<FileHandle, "readv">,
  target: BodyTarget,
  invalid: Invalid
): Promise<void> => {
  const reads = readsOf(target)
  let next = 0
  const lane = async (): Promise<void> => {
    try {
      while (next < reads.length) await readPieces(reads[next++]!)
    } catch (error) {
      next = reads.length
      throw error
    }
  }
  const readPieces = async (pieces: ReadonlyArray<Piece>): Promise<void> => {
    const from = pieces[0]!.offset
    const views = pieces.map((piece) => piece.view)
    const bytes = views.reduce((sum, view) => sum + view.length, 0)
    const done = await readVectored(file, views, from).catch(fails("read", target.path))
    if (done < bytes) throw invalid("length", from + done, from + bytes, "the file became shorter while it was read")
    for (const { view, offset, section, checksums } of pieces) {
      const block = await kernels.verifyBlocks(view, CHECKED_BYTES, checksums)
      if (block < 0) continue
      const damaged = offset + block * CHECKED_BYTES
      const end = Math.min(damaged + CHECKED_BYTES, offset + view.length)
      throw invalid("checksum", damaged, end, `${section} is damaged`)
    }
  }
  // All lanes end before the caller closes the file.
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane))
  const failed = lanes.find((lane) => lane.status === "rejected")
  if (failed !== undefined) throw failed.reason
}

/** Groups the blocks of all ranges into reads of what follows one another in the file. */
const readsOf = ({ ranges, memoryOf, checksums }: BodyTarget): ReadonlyArray<ReadonlyArray<Piece>> => {
  const reads: Array<Array<Piece>> = []
  let bytes = READ_BYTES
  let end = 0
  for (const range of ranges) {
    const memory = memoryOf(range)
    for (let from = 0; from < range.bytes; from += READ_BYTES) {
      if (bytes >= READ_BYTES || range.offset + from !== end) {
        reads.push([])
        bytes = 0
      }
      const view = memory.subarray(from, from + READ_BYTES)
      const first = range.checksum + from / CHECKED_BYTES
      reads.at(-1)!.push({
        view,
        offset: range.offset + from,
        section: range.section,
        checksums: checksums.subarray(first, first + Math.ceil(view.length / CHECKED_BYTES))
      })
      bytes += view.length
      end = range.offset + from + view.length
    }
  }
  return reads
}
