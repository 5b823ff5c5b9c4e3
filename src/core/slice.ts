/** Long loops on the event loop, in slices that leave room for everybody else. */

/** Longest stretch on the event loop, in milliseconds. */
export const SLICE_MS = 0.8

/**
 * Calls `step` for 0, 1, ... `count - 1`, letting other work run about every millisecond. Stops
 * with the signal's reason when it fires.
 */
export const forEachSliced = async (count: number, signal: AbortSignal | undefined, step: (i: number) => void) => {
  let end = performance.now() + SLICE_MS
  for (let i = 0; i < count; i++) {
    step(i)
    if ((i & 7) === 7 && performance.now() > end) {
      await new Promise(setImmediate)
      signal?.throwIfAborted()
      end = performance.now() + SLICE_MS
    }
  }
}
