/** Ranges of the body of an image, written block by block with the checksum of each. */
import type { Kernels } from "../../kernels/contract.ts"
import { CHECKED_BYTES, type Range } from "./ranges.ts"

/** Bytes of small ranges that go into one write, and the most that the event loop prepares at once. */
const BATCH_BYTES = CHECKED_BYTES

/**
 * Where copies lie until they are written, kept from one image to the next: a buffer of this size that comes and goes
 * leaves holes in the memory of the process that nothing else fits into.
 */
let spare: Uint8Array | undefined

interface BodyWriter {
  readonly ranges: ReadonlyArray<Range>
  /**
   * Bytes `[from, from + bytes)` of a range, which do not change any more. Asked for in order. What has to be copied goes
   * into `room()`, of so many bytes, which is used again once they are written.
   */
  readonly blockOf: (
    range: Range,
    from: number,
    bytes: number,
    room: () => Uint8Array
  ) => Uint8Array | Promise<Uint8Array>
  readonly write: (blocks: ReadonlyArray<Uint8Array>, position: number) => Promise<void>
  /** Takes the checksums of all blocks. */
  readonly checksums: Uint32Array
}

/** Writes ranges, given in the order of the file. */
export const writeBody = async (
  kernels: Pick<Kernels, "crc32c">,
  { ranges, blockOf, write, checksums }: BodyWriter
): Promise<void> => {
  let batch: Array<Uint8Array> = []
  let batchBytes = 0
  let end = 0
  let copies: Uint8Array | undefined
  const flush = async () => {
    if (batch.length > 0) await write(batch, end - batchBytes)
    batch = []
    batchBytes = 0
  }
  try {
    for (const range of ranges) {
      if (range.offset !== end) await flush()
      for (let from = 0, number = range.checksum; from < range.bytes; from += CHECKED_BYTES, number++) {
        const bytes = Math.min(CHECKED_BYTES, range.bytes - from)
        const at = batchBytes
        const room = () => {
          copies ??= spare ?? new Uint8Array(BATCH_BYTES + CHECKED_BYTES)
          spare = undefined
          return copies.subarray(at, at + bytes)
        }
        const block = await blockOf(range, from, bytes, room)
        checksums[number] = kernels.crc32c(block)
        batch.push(block)
        batchBytes += bytes
        end = range.offset + from + bytes
        if (batchBytes >= BATCH_BYTES) await flush()
      }
    }
    await flush()
  } finally {
    spare ??= copies
  }
}
