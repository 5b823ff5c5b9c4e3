/**
 * Fair shares of the event loop. A call that settles without waiting goes on in microtasks, so
 * callers that loop over awaited calls would never let a timer or a socket through. Fibers of the
 * Effect door yield by themselves.
 */

/** Longest stretch of one turn that calls fill before the next ones wait, in milliseconds. */
const TURN_MS = 1

/** When the first call of this turn began; undefined while none has. */
let began: number | undefined
/** Calls that found their turn full, in order, and how many of them have gone on. */
const waiting: Array<() => void> = []
let served = 0

const begin = (): number => {
  began = performance.now()
  setImmediate(nextTurn)
  return began
}

/** Lets one caller go on: what it does next is not known before it did. */
const nextTurn = (): void => {
  began = undefined
  const go = waiting[served]
  if (go === undefined) {
    waiting.length = 0
    served = 0
    return
  }
  served++
  begin()
  go()
}

/** Settles in a turn of the event loop that has room; undefined when this one has, as it nearly always does. */
export const roomInTurn = (): Promise<void> | undefined => {
  const hasRoom = performance.now() - (began ?? begin()) < TURN_MS
  return hasRoom && waiting.length === 0 ? undefined : new Promise((go) => waiting.push(go))
}
