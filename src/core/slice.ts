/** Long loops on the event loop, in slices that leave room for everybody else. */
import { inNextTurn, leftInTurn } from "./turn.ts"

/** Steps between two looks at the clock, where a step takes microseconds. */
const STEPS_A_LOOK = 8

/**
 * Calls `step` for 0, 1, ... `count - 1`, letting other work run about every millisecond. Stops
 * with the signal's reason when it fires. Long steps need a look at the clock after each.
 */
export const forEachSliced = async (
  count: number,
  signal: AbortSignal | undefined,
  step: (i: number) => void,
  stepsALook = STEPS_A_LOOK
) => {
  for (let i = 0; i < count; i++) {
    step(i)
    if ((i + 1) % stepsALook !== 0 || i === count - 1 || leftInTurn() > 0) continue
    await inNextTurn()
    signal?.throwIfAborted()
  }
}

/** What `make` makes of 0, 1, ... `count - 1`, as `forEachSliced` calls it. */
export const mapSliced = async <A>(
  count: number,
  signal: AbortSignal | undefined,
  make: (i: number) => A,
  stepsALook = STEPS_A_LOOK
): Promise<Array<A>> => {
  const made: Array<A> = []
  await forEachSliced(count, signal, (i) => made.push(make(i)), stepsALook)
  return made
}
