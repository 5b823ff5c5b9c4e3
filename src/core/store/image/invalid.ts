/** How the parts of the image reader refuse a file without knowing its name. */
import { ImageInvalid } from "../../errors.ts"

/** Names the header field, `"checksum"` or `"length"`, and the bytes `[from, to)` at fault. */
export type Invalid = (field: string, from: number, to: number, reason: string) => ImageInvalid

export const invalidImage =
  (path: string): Invalid =>
  (field, from, to, reason) =>
    new ImageInvalid({ path, field, from, to, reason })
