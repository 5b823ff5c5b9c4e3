/**
 * What a switch that is interrupted loses, noted until it was told: once images are in their places nothing else of the
 * folder knows.
 */
import { readFile, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { RowsLost } from "../errors.ts"
import { logPath } from "../folder.ts"
import { kernels } from "../native.ts"
import { damagedWhere, fails } from "../store/file-failure.ts"
import { isThere, thereOf } from "../store/is-there.ts"
import { replaceFile } from "../store/replace-file.ts"

export interface Untold {
  readonly losses: ReadonlyArray<RowsLost>
  /** Name of the folder that the files of before are in; undefined where nothing was begun, or nothing tells. */
  readonly aside: string | undefined
  /** Highest number of a frame that images in their places may hold: what said so beside the log may be gone. */
  readonly highest: number
  /** What `stampOf` said of the log when images came into their places; undefined where none did. */
  readonly log: string | undefined
}

/** The same, and whether the log is as the switch left it, without its write-ahead log: then there is no higher one. */
export interface Interrupted extends Untold {
  readonly isUntouched: boolean
}

interface Note {
  /** What is to be told while every one of `moves` is there, and from the moment on that one is not. */
  readonly before: Untold
  readonly after: Untold
  /** Names of the files that the switch moves or takes away; none once that was begun. */
  readonly moves: ReadonlyArray<string>
}

export const NOTE = "losses.salvaged"
const NOTHING: Interrupted = { losses: [], aside: undefined, highest: 0, log: undefined, isUntouched: false }
const UNREADABLE = "what a salvage lost that was interrupted cannot be read"

/** Tells a log that somebody wrote from one that nobody did. */
export const stampOf = async (log: string): Promise<string> => {
  const { size, mtimeMs } = (await isThere(log)) ? await stat(log).catch(fails("stat", log)) : { size: 0, mtimeMs: 0 }
  return `${size} ${mtimeMs}`
}

/** Notes what is lost from the first of `moves` on. */
export const noteLosses = (folder: string, note: Note): Promise<void> => {
  const text = JSON.stringify(note, (_, value) => (value instanceof RowsLost ? plain(value) : value))
  const path = join(folder, NOTE)
  const bytes = Buffer.from(`${kernels.crc32c(Buffer.from(text))} ${text}`)
  return replaceFile(path, (file) => file.writeFile(bytes).catch(fails("write", path)))
}

const plain = ({ collection, rows, keys, reason }: RowsLost) => ({ collection, rows, keys, reason })

/** What an interrupted switch has yet to tell. */
export const untold = async (folder: string): Promise<Interrupted> => {
  const path = join(folder, NOTE)
  if (!(await isThere(path))) return NOTHING
  const whole = await readFile(path, "utf8").catch(damagedWhere("", path))
  const end = whole.indexOf(" ")
  const text = whole.slice(end + 1)
  if (end < 0 || Number(whole.slice(0, end)) !== kernels.crc32c(Buffer.from(text))) {
    return { ...NOTHING, losses: [new RowsLost({ collection: "", rows: undefined, keys: [], reason: UNREADABLE })] }
  }
  const { before, after, moves } = JSON.parse(text) as Note
  const there = await thereOf(moves.map((name) => join(folder, name)))
  const isBegun = moves.length === 0 || there.length < moves.length
  const { losses, aside, highest, log } = isBegun ? after : before
  const found = { losses: losses.map((loss) => new RowsLost({ ...loss, rows: loss.rows })), aside, highest, log }
  // What comes next makes files of these names again. Where nothing was begun, nothing was lost: it may be had again.
  if (aside === undefined) await told(folder)
  else if (moves.length > 0) await noteLosses(folder, { before: found, after: found, moves: [] })
  const isUntouched = log === (await stampOf(logPath(folder))) && !(await isThere(`${logPath(folder)}-wal`))
  return { ...found, isUntouched }
}

/** It was told. */
export const told = (folder: string): Promise<void> =>
  rm(join(folder, NOTE), { force: true }).catch(fails("remove", join(folder, NOTE)))

/** Losses of a salvage that was interrupted and of the one after it, which finds those again that nothing was done for. */
export const together = (before: ReadonlyArray<RowsLost>, found: ReadonlyArray<RowsLost>): ReadonlyArray<RowsLost> => [
  ...before.filter((loss) => !found.some((other) => other.message === loss.message)),
  ...found
]
