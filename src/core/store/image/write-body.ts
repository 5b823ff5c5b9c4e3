/** The body of an image, written block by block with the checksum of each. */
import { setImmediate } from "node:timers/promises"
import type { Kernels } from "../../kernels/contract.ts"
import { CHECKED_BYTES, type ImagePlan, type Range } from "./ranges.ts"

/** Bytes of small ranges that go into one write, and the most that the event loop prepares at once. */
const BATCH_BYTES = CHECKED_BYTES
/** Bytes of packed records that are copied in well under a millisecond, however small the records. */
const COPIED_BYTES = 1 << 16

interface BodyWriter {
  readonly plan: ImagePlan
  readonly memoryOf: (range: Range) => Uint8Array
  readonly write: (blocks: ReadonlyArray<Uint8Array>, position: number) => Promise<void>
  /** Copies the next packed bytes of records. */
  readonly copyRecords: (target: Uint8Array) => void
}

/** Writes every range and returns the checksums of all blocks. */
export const writeBody = async (
  kernels: Pick<Kernels, "crc32c">,
  { plan, memoryOf, copyRecords, write }: BodyWriter
): Promise<Uint32Array> => {
  const checksums = new Uint32Array(plan.checksumCount)
  let batch: Array<Uint8Array> = []
  let batchBytes = 0
  let position = plan.ranges[0]!.offset
  const flush = async () => {
    await write(batch, position)
    position += batchBytes
    batch = []
    batchBytes = 0
  }
  for (const range of plan.ranges) {
    const memory = range.section === "records" ? undefined : memoryOf(range)
    for (let from = 0, number = range.checksum; from < range.bytes; from += CHECKED_BYTES, number++) {
      const bytes = Math.min(CHECKED_BYTES, range.bytes - from)
      const block = memory?.subarray(from, from + bytes) ?? (await packedBlock(bytes, copyRecords))
      checksums[number] = kernels.crc32c(block)
      batch.push(block)
      batchBytes += bytes
      if (batchBytes >= BATCH_BYTES) await flush()
    }
  }
  await flush()
  return checksums
}

const packedBlock = async (bytes: number, copyRecords: BodyWriter["copyRecords"]): Promise<Uint8Array> => {
  const block = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += COPIED_BYTES) {
    copyRecords(block.subarray(at, at + COPIED_BYTES))
    await setImmediate()
  }
  return block
}
