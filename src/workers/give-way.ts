/** Priorities of worker threads: with all cores at work, the event loop of the program is to go first. */
import { getPriority, setPriority } from "node:os"

const LOWEST = 19

/**
 * Lowers the priority of the thread that calls it by `steps` of nice. Linux alone has priorities of threads: elsewhere
 * it would be that of the whole program, which is left alone.
 */
export const giveWay = (steps: number): void => {
  if (process.platform !== "linux") return
  try {
    setPriority(0, Math.min(LOWEST, getPriority(0) + steps))
  } catch {
    // A sandbox may refuse it. The thread works as well, only not later than others.
  }
}
