/** Long loops on the event loop, in slices that leave room for everybody else. */
import { inNextTurn, leftInTurn } from "./turn.ts"

/**
 * Calls `step` for 0, 1, ... `count - 1`, letting other work run about every millisecond. Stops
 * with the signal's reason when it fires.
 */
export const forEachSliced = async (count: number, signal: AbortSignal | undefined, step: (i: number) => void) => {
  for (let i = 0; i < count; i++) {
    step(i)
    if ((i & 7) !== 7 || leftInTurn() > 0) continue
    await inNextTurn()
    signal?.throwIfAborted()
  }
}
