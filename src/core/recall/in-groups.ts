/** Many single writes: they wait for the log together, and start in shares of the event loop. */
import { roomInTurn } from "../turn.ts"

/** Writes that share a flush. */
const GROUP = 256
/** Writes between two looks at the turn: in memory each takes some twenty microseconds, and none waits. */
const STARTS_A_LOOK = 8

/** Runs `write` for each key. */
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
    group.push(write(key))
    if (group.length < GROUP && i < keys.length - 1) continue
    await Promise.all(group)
    group = []
  }
}
