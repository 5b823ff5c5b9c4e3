/** Priorities of worker threads: with all cores at work, the event loop of the program is to go first. */
import { getPriority, setPriority } from "node:os"

const LOWEST = 19

/**
 * Lowers the priority of the thread that calls it by `steps` of nice, and says whether it could: a sandbox may refuse, and
 * the thread works as well then. Linux alone has priorities of threads: elsewhere it would be that of the whole program,
 * which is left alone.
 */
export const giveWay = (steps: number): boolean => {
  if (process.platform !== "linux") return false
  try {
    setPriority(0, Math.min(LOWEST, getPriority(0) + steps))
    return true
  } catch {
    return false
  }
}
