/**
 * The memory of a store that nobody will use again. V8 does not count shared memory: it would let gigabytes of it lie for
 * want of other garbage. Plain memory of the same size, which is never touched and so costs none, makes it look.
 */

/** As much as V8 never passes over. */
const MOST_BYTES = 1 << 30

export const forsake = (bytes: number): void => {
  try {
    new ArrayBuffer(Math.min(bytes, MOST_BYTES))
  } catch (error) {
    // Where there is no address space left, V8 has looked everywhere already.
    if (!(error instanceof RangeError)) throw error
  }
}
