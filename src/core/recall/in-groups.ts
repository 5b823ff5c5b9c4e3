/** Many single writes: they wait for the log together, and start in shares of the event loop. */
import { roomInTurn } from "../turn.ts"

/** Writes that share a flush. */
const GROUP = 256
/** Writes between two looks at the turn: in memory each takes some twenty microseconds, and none waits. */
const STARTS_A_LOOK = 8

/** Runs `write` for each key. Rejects once all that were started have ended, with the first that failed. */
export const inGroups = async (
  keys: ReadonlyArray<string>,
  write: (key: string) => Promise<unknown>
): Promise<void> => {
  let group: Array<Promise<unknown>> = []
  for (const [i, key] of keys.entries()) {
    if (i % STARTS_A_LOOK === 0) {
      const room = roomInTurn()
      if (room !== undefined) await room
    }
    const writing = write(key)
    // One that fails before its group is waited for is no failure that nobody handles.
    writing.catch(() => undefined)
    group.push(writing)
    if (group.length < GROUP && i < keys.length - 1) continue
    const failed = (await Promise.allSettled(group)).find(({ status }) => status === "rejected")
    if (failed?.status === "rejected") throw failed.reason
    group = []
  }
}
