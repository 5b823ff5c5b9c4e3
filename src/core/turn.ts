/**
 * Fair shares of the event loop of a thread. Everything long that runs on it asks here how much of
 * the present turn is left, and waits in one line for turns to come: what is short on its own would
 * otherwise add up to a long turn, and calls that settle without waiting would go on in microtasks
 * for ever, with no timer or socket let through.
 */

/** Longest stretch of one turn that is filled before the rest waits, in milliseconds. */
export const TURN_MS = 1

/** When this turn began to be filled; undefined while it has not. */
let began: number | undefined
/** Who found their turn full, in order, and how many of them have gone on. */
const waiting: Array<() => void> = []
/** Those that have gone on are forgotten so many at a time: the line may never end. */
const FORGOTTEN = 1024
let served = 0

const begin = (): number => {
  began = performance.now()
  setImmediate(nextTurn)
  return began
}

/** Lets one go on: what it does next is not known before it did. */
const nextTurn = (): void => {
  began = undefined
  const go = waiting[served]
  if (go === undefined) {
    waiting.length = 0
    served = 0
    return
  }
  served++
  if (served === FORGOTTEN) {
    waiting.splice(0, served)
    served = 0
  }
  begin()
  go()
}

/** Milliseconds that may still be filled of this turn, 0 or less when it is full. */
export const leftInTurn = (): number => TURN_MS - (performance.now() - (began ?? begin()))

/** Settles in a turn to come, after everybody who waits already. */
export const inNextTurn = (): Promise<void> => {
  if (began === undefined) begin()
  return new Promise((go) => waiting.push(go))
}

/** Whether so many milliseconds fit into this turn before anybody who waits. */
export const fitsInTurn = (ms: number): boolean => waiting.length === served && leftInTurn() >= ms

/** Settles in a turn of the event loop that has room; undefined when this one has, as it nearly always does. */
export const roomInTurn = (): Promise<void> | undefined => (fitsInTurn(0) ? undefined : inNextTurn())

/** Runs `go` after what runs now: in this turn if it has room, or else in one to come. */
export const whenRoom = (go: () => void): void => {
  const room = roomInTurn()
  if (room === undefined) queueMicrotask(go)
  else void room.then(go)
}
