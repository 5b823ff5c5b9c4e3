/** Turns of the event loop, counted while the clock runs fast. */

/**
 * How many turns end while `work` is under way, when every look at the clock finds that the turn is over; `work` is told
 * how many have. Turns in which nobody looks are not counted: so many pass while a thread is waited for.
 */
export const turnsOf = async (work: (soFar: () => number) => Promise<unknown>): Promise<number> => {
  let ms = performance.now()
  let turns = 0
  let isLookedAt = false
  let next: NodeJS.Immediate | undefined
  const count = () => {
    if (isLookedAt) turns++
    isLookedAt = false
    next = setImmediate(count)
  }
  performance.now = () => {
    ms += 2
    isLookedAt = true
    return ms
  }
  next = setImmediate(count)
  try {
    await work(() => turns)
  } finally {
    clearImmediate(next)
    // The clock of the prototype is there again.
    Reflect.deleteProperty(performance, "now")
    // The turn that began by the other clock ends.
    await new Promise(setImmediate)
  }
  return turns
}
