/** What the log still tells of one collection, and what of it is missing. */
import { type LostKey, RowsLost } from "../errors.ts"
import { decodeFrame, numberOf } from "../log/frame.ts"
import type { ReadCollection } from "../log/log-reader.ts"
import type { LogReading } from "../log/reading.ts"
import { Holes } from "./holes.ts"
import { placeOf } from "./known-parts.ts"
import type { Source } from "./sources.ts"
import type { Reach } from "./untold.ts"
import type { VerifiedLog } from "./verify.ts"

/** Keys that a loss names at most. */
export const NAMED_KEYS = 1000

/** Where frames of a collection are missing, of a log that may know nothing of it, whose images a switch may have put in their places. */
export const holesOf = (
  { survey, chains, faults }: VerifiedLog,
  logged: ReadCollection | undefined,
  sources: ReadonlyArray<Source>,
  { highest: switched, isUntouched }: Reach
): Holes => {
  const holes = new Holes()
  if (survey === undefined || logged === undefined) {
    holes.add(0, isUntouched ? switched : Number.POSITIVE_INFINITY)
    return holes
  }
  const { id, folded } = logged
  const last = Math.max(folded, chains.lastOf(id))
  // These are in the table of entries, as they were after the last of them.
  holes.add(0, folded)
  for (const { collection, from, to } of chains.gaps) if (collection === id) holes.add(from, to)
  // Nothing that follows a row at the end tells of it.
  for (const { table, collection = id, to } of faults) if (table === "log" && collection === id) holes.add(last, to)
  const highest = Math.max(chains.highest, ...survey.collections.map((collection) => collection.folded))
  if (survey.highest === undefined) holes.add(last, Number.POSITIVE_INFINITY)
  else if (survey.highest > highest) holes.add(last, survey.highest)
  // An image is only written of frames that are in the log, but by salvaging: that says the highest number of all.
  const watermark = Math.max(0, ...sources.map((source) => source.watermark))
  if (watermark > last)
    holes.add(last, watermark <= Math.max(survey.highest ?? 0, switched) ? watermark : Number.POSITIVE_INFINITY)
  return holes
}

/** Frames or entries of one collection, of all that can be read. */
export const rowsOf = async function* (
  log: LogReading,
  table: "log" | "entries",
  { survey }: VerifiedLog,
  logged: ReadCollection | undefined
): AsyncGenerator<Uint8Array> {
  if (survey === undefined || logged === undefined) return
  // What cannot be read has been told.
  for await (const frame of log.frames(table, () => undefined)) {
    const { collection, number } = numberOf(frame)
    if (collection === logged.id && (table === "entries" || number > logged.folded)) yield frame
  }
}

/** The loss of writes that are missing beyond what a collection was made again from; undefined for none. */
export const lostWrites = (
  collection: string,
  holes: Holes,
  { survey }: VerifiedLog,
  logged: ReadCollection | undefined,
  floor: number
): RowsLost | undefined => {
  const beyond = holes.beyond(floor)
  if (beyond.length === 0) return undefined
  const of = (reason: string) => new RowsLost({ collection, rows: undefined, keys: [], reason })
  if (survey === undefined)
    return of(`nothing can be read of the log: writes after frame ${floor} are lost, if there were any`)
  if (logged === undefined) {
    return of(`the log does not tell which frames are its own: writes after frame ${floor} are lost, if there were any`)
  }
  const ranges = beyond.map(({ from, to }) =>
    to === Number.POSITIVE_INFINITY ? `any after ${from}` : `${from + 1} to ${to}`
  )
  return of(`frames cannot be read: ${ranges.join(", ")}. What they wrote is as it was before, or missing`)
}

/** The loss of collections that the log names no more and no image tells of, with the keys that were written to them. */
export const lostCollections = async (log: LogReading, found: VerifiedLog): Promise<ReadonlyArray<RowsLost>> => {
  const losses: Array<RowsLost> = []
  for (const { table, collection: id, to } of found.faults) {
    if (table !== "collections") continue
    if (id === undefined) {
      const reason = `what ${to === Number.MAX_SAFE_INTEGER ? "collections" : `collection number ${to}`} were made with cannot be read`
      losses.push(new RowsLost({ collection: "", rows: undefined, keys: [], reason }))
      continue
    }
    const keys = new Map<string, LostKey>()
    const logged = { id, name: "", shape: "", folded: 0 }
    for (const table of ["entries", "log"] as const) {
      for await (const bytes of rowsOf(log, table, found, logged)) {
        const { operation, namespace, keys: names } = decodeFrame(bytes)
        for (const key of names) {
          if (operation === "delete") keys.delete(placeOf(namespace, key))
          else keys.set(placeOf(namespace, key), { key, ...(namespace && { namespace }) })
        }
      }
    }
    const reason = `the name and the options of collection number ${id} cannot be read; where an image has it, these entries are of before`
    losses.push(
      new RowsLost({ collection: "", rows: keys.size, keys: [...keys.values()].slice(0, NAMED_KEYS), reason })
    )
  }
  return losses
}
