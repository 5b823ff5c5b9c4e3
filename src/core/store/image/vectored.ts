/**
 * Reads and writes over several buffers that take in all of them: one call may do less than it
 * was asked, beyond 1,024 buffers or 2 GiB or when the system pleases.
 */
import type { FileHandle } from "node:fs/promises"

/** Fills the buffers from `position`; returns the bytes read, fewer only at the end of the file. */
export const readVectored = async (
  file: Pick<FileHandle, "readv">,
  buffers: ReadonlyArray<Uint8Array>,
  position: number
): Promise<number> => {
  let done = 0
  for (let left = buffers; left.length > 0; ) {
    const { bytesRead } = await file.readv(left, position + done)
    if (bytesRead === 0) break
    done += bytesRead
    left = after(left, bytesRead)
  }
  return done
}

export const writeVectored = async (
  file: Pick<FileHandle, "writev">,
  buffers: ReadonlyArray<Uint8Array>,
  position: number
): Promise<void> => {
  let done = 0
  for (let left = buffers; left.length > 0; ) {
    const { bytesWritten } = await file.writev(left, position + done)
    done += bytesWritten
    left = after(left, bytesWritten)
  }
}

/** What is left of buffers when their first `bytes` are done. */
const after = (buffers: ReadonlyArray<Uint8Array>, bytes: number): ReadonlyArray<Uint8Array> => {
  let skipped = 0
  let rest = bytes
  while (skipped < buffers.length && rest >= buffers[skipped]!.length) rest -= buffers[skipped++]!.length
  const left = buffers.slice(skipped)
  if (rest > 0) left[0] = left[0]!.subarray(rest)
  return left
}
