/** Images that were changed on purpose, with checksums that are right all the same. */
import { kernels } from "../src/core/native.ts"
import { CHECKED_BYTES, HEADER_BYTES, type ImagePlan } from "../src/core/store/image/ranges.ts"

/** Where the header has the checksum of the checksums. */
const CHECKSUMS_CHECKSUM = 168

/** Makes every checksum of an image that lies as `plan` says right again. */
export const seal = (bytes: Buffer, { ranges, extents }: Pick<ImagePlan, "ranges" | "extents">): void => {
  for (const range of ranges) {
    for (let from = 0, i = range.checksum; from < range.bytes; from += CHECKED_BYTES, i++) {
      const end = range.offset + Math.min(range.bytes, from + CHECKED_BYTES)
      bytes.writeUInt32LE(kernels.crc32c(bytes.subarray(range.offset + from, end)), extents.checksums.offset + 4 * i)
    }
  }
  bytes.writeUInt32LE(kernels.crc32c(bytes.subarray(extents.checksums.offset)), CHECKSUMS_CHECKSUM)
  bytes.writeUInt32LE(kernels.crc32c(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
}
