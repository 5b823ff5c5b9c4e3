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
    const found = places.map(({ key, scope }) => ({ key, scope, row: store.find(checkedKey(key, scope)) }))
    const there = found.filter(({ row }) => row >= 0)
    if (there.length === 0) return { commit: () => undefined }
    return {
      frames: Array.from(
        Map.groupBy(there, ({ scope }) => scope),
        ([scope, own]): Frame => ({
          operation: "delete",
          namespace: store.tags.text(scope),
          keys: own.map(({ key }) => key)
        })
      ),
      commit: () => {
        for (const { row, key, scope } of there) store.remove(row, checkedKey(key, scope))
      }
    }
  }
  const ids = places.map(({ key, scope }) => turnOf(store.tags.text(scope), key))
  const removed = making(() => together(turns.run(ids, carryOut(log, prepared))))
  return directInRoom(ending(removed, trainInBackground))
}
