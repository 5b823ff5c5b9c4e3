/** The blocks of a damaged image whose checksums hold: read into memory, the others left as zeros and named. */
import type { FileHandle } from "node:fs/promises"
import { setImmediate } from "node:timers/promises"
import type { ImageInvalid } from "../../errors.ts"
import type { Kernels } from "../../kernels/contract.ts"
import { damagedWhere } from "../file-failure.ts"
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
  readonly path: string
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
  { path, ranges, memoryOf, checksums }: IntactTarget,
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
      const bytes = await readVectored(file, [block], range.offset + from).catch(damagedWhere(0, path))
      const holds = bytes === block.length && kernels.crc32c(block) === checksums[number]
      const reason = bytes < block.length ? "length" : "checksum"
      if (!holds) {
        block.fill(0)
        faults.push(invalid(reason, range.offset + from, range.offset + to, `${range.section} is damaged`))
        damages.push({ range, from: range.from + from, to: range.from + to })
      }
      await setImmediate()
    }
  }
  return damages
}
