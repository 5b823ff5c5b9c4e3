/** The blocks of a damaged image whose checksums hold: read into memory, the others left as zeros and named. */
import type { FileHandle } from "node:fs/promises"
import { setImmediate } from "node:timers/promises"
import type { ImageInvalid } from "../../errors.ts"
import type { Kernels } from "../../kernels/contract.ts"
import type { Invalid } from "./invalid.ts"
import { CHECKED_BYTES, type Range } from "./ranges.ts"
import { readVectored } from "./vectored.ts"

/** Bytes `[from, to)` of the buffer of a range that are not as they were written. */
export interface Damage {
  readonly range: Range
  readonly from: number
  readonly to: number
}

interface IntactTarget {
  readonly ranges: ReadonlyArray<Range>
  /** Where a range is read to; undefined where it is only to be checked. */
  readonly memoryOf: (range: Range) => Uint8Array | undefined
  /** As many as the file still holds. */
  readonly checksums: Uint32Array
}

/** Reads what holds of an image; `faults` takes what does not. */
export const readIntact = async (
  kernels: Pick<Kernels, "crc32c">,
  file: FileHandle,
  { ranges, memoryOf, checksums }: IntactTarget,
  invalid: Invalid,
  faults: Array<ImageInvalid>
): Promise<ReadonlyArray<Damage>> => {
  const damages: Array<Damage> = []
  const scratch = new Uint8Array(CHECKED_BYTES)
  for (const range of ranges) {
    const memory = memoryOf(range)
    for (let from = 0, number = range.checksum; from < range.bytes; from += CHECKED_BYTES, number++) {
      const to = Math.min(range.bytes, from + CHECKED_BYTES)
      const block = memory?.subarray(from, to) ?? scratch.subarray(0, to - from)
      const reason = await faultOf(kernels, file, block, range.offset + from, checksums[number])
      if (reason !== undefined) {
        block.fill(0)
        faults.push(invalid(reason, range.offset + from, range.offset + to, `${range.section} is damaged`))
        damages.push({ range, from: range.from + from, to: range.from + to })
      }
      await setImmediate()
    }
  }
  return damages
}

/** What is wrong with a block of the file; undefined for nothing. */
const faultOf = async (
  kernels: Pick<Kernels, "crc32c">,
  file: FileHandle,
  block: Uint8Array,
  position: number,
  checksum: number | undefined
): Promise<string | undefined> => {
  // A disk that cannot give a block back has damaged it.
  const bytes = await readVectored(file, [block], position).catch(() => -1)
  if (bytes < block.length) return "length"
  return kernels.crc32c(block) === checksum ? undefined : "checksum"
}
