/** Many entries taken away by one write: in the log they are one transaction, so a crash leaves all of them or none. */
import { directInRoom, ending, making } from "../lift.ts"
import type { Frame } from "../log/frame.ts"
import { checkedKey } from "./entries.ts"
import { carryOut, type Prepared } from "./prepared.ts"
import { type SharedWriting, turnOf } from "./writing.ts"

/** The place of an entry, whichever row it is in. */
export interface EntryPlace {
  /** Code of its namespace. */
  readonly scope: number
  readonly key: string
}

/** Takes away those entries of different places that are there. Nobody else writes their keys meanwhile. */
export const removeTogether = (parts: SharedWriting, places: ReadonlyArray<EntryPlace>) => {
  const { store, log, together, turns, trainInBackground } = parts
  const prepared = (): Prepared<void> => {
    const rows = places.map(({ key, scope }) => store.find(checkedKey(key, scope)))
    const keys = new Map<number, Array<string>>()
    for (const [i, { key, scope }] of places.entries()) {
      if (rows[i]! < 0) continue
      const ofScope = keys.get(scope)
      if (ofScope === undefined) keys.set(scope, [key])
      else ofScope.push(key)
    }
    if (keys.size === 0) return { commit: () => undefined }
    return {
      frames: Array.from(
        keys,
        ([scope, keys]): Frame => ({ operation: "delete", namespace: store.tags.text(scope), keys })
      ),
      commit: () => {
        for (const [i, { key, scope }] of places.entries()) {
          if (rows[i]! >= 0) store.remove(rows[i]!, checkedKey(key, scope))
        }
      }
    }
  }
  const ids = places.map(({ key, scope }) => turnOf(store.tags.text(scope), key))
  const removed = making(() => together(turns.run(ids, carryOut(log, prepared))))
  return directInRoom(ending(removed, trainInBackground))
}
