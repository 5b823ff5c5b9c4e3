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
import { replaceFile, syncFolder } from "../store/replace-file.ts"

/** What is to be told of one collection, or of what is in the log alone. */
interface Switched {
  readonly losses: ReadonlyArray<RowsLost>
  /** Highest number of a frame that images in their places may hold: what said so beside the log may be gone. */
  readonly highest: number
  /** What `stampOf` said of the log when its images came into their places. */
  readonly log: string
}

export interface Untold {
  /** By name; "" is what is in the log alone. Those are missing of which nothing was moved. */
  readonly collections: Readonly<Record<string, Switched>>
  /** Name of the folder that the files of before are in; undefined where nothing was begun, or nothing tells. */
  readonly aside: string | undefined
}

/** How far images in their places may go. */
export interface Reach {
  readonly highest: number
  /** Whether the log is as the switch left it, without its write-ahead log: then there is no higher one. */
  readonly isUntouched: boolean
}

interface Note {
  /** What is to be told of collections while every one of their `moves` is there, and from the moment on that one is not. */
  readonly before: Untold
  readonly after: Untold
  /** Names of the files that the switch moves or takes away, by collection. */
  readonly moves: Readonly<Record<string, ReadonlyArray<string>>>
}

export const NOTE = "losses.salvaged"
const NOTHING: Untold = { collections: {}, aside: undefined }
const UNREADABLE = "what a salvage lost that was interrupted cannot be read"

/** Tells a log that somebody wrote from one that nobody did. */
export const stampOf = async (log: string): Promise<string> => {
  const { size, mtimeMs } = (await isThere(log)) ? await stat(log).catch(fails("stat", log)) : { size: 0, mtimeMs: 0 }
  return `${size} ${mtimeMs}`
}

/** Notes what is lost of each collection from the first of its `moves` on. */
export const noteLosses = (folder: string, note: Note): Promise<void> => {
  const text = JSON.stringify(note, (_, value) => (value instanceof RowsLost ? plain(value) : value))
  const path = join(folder, NOTE)
  const bytes = Buffer.from(`${kernels.crc32c(Buffer.from(text))} ${text}`)
  return replaceFile(path, (file) => file.writeFile(bytes).catch(fails("write", path)))
}

const plain = ({ collection, rows, keys, reason }: RowsLost) => ({ collection, rows, keys, reason })

const readSwitched = ([name, { losses, ...reach }]: readonly [string, Switched]) =>
  [name, { ...reach, losses: losses.map((loss) => new RowsLost({ ...loss, rows: loss.rows })) }] as const

/** What an interrupted switch has yet to tell. */
export const untold = async (folder: string): Promise<Untold> => {
  const path = join(folder, NOTE)
  if (!(await isThere(path))) return NOTHING
  const whole = await readFile(path, "utf8").catch(damagedWhere("", path))
  const end = whole.indexOf(" ")
  const text = whole.slice(end + 1)
  if (end < 0 || Number(whole.slice(0, end)) !== kernels.crc32c(Buffer.from(text))) {
    const losses = [new RowsLost({ collection: "", rows: undefined, keys: [], reason: UNREADABLE })]
    return { ...NOTHING, collections: { "": { losses, highest: 0, log: "" } } }
  }
  const { before, after, moves } = JSON.parse(text) as Note
  const collections = new Map(Object.entries(before.collections))
  let { aside } = before
  for (const [name, files] of Object.entries(moves)) {
    const there = await thereOf(files.map((file) => join(folder, file)))
    if (there.length === files.length) continue
    collections.set(name, after.collections[name]!)
    aside = after.aside
  }
  const found = { collections: Object.fromEntries([...collections].map(readSwitched)), aside }
  // What comes next makes files of these names again. Where nothing was begun, nothing was lost: it may be had again.
  if (aside === undefined) await told(folder)
  else await noteLosses(folder, { before: found, after: found, moves: {} })
  return found
}

export const lossesOf = ({ collections }: Untold): ReadonlyArray<RowsLost> =>
  Object.values(collections).flatMap(({ losses }) => losses)

/** How far images of a collection go that an interrupted switch put in their places. */
export const reachOf = async (folder: string, { collections }: Untold, name: string): Promise<Reach> => {
  const { highest = 0, log } = collections[name] ?? {}
  const path = logPath(folder)
  return { highest, isUntouched: log === (await stampOf(path)) && !(await isThere(`${path}-wal`)) }
}

/** It was told. */
export const told = async (folder: string): Promise<void> => {
  const path = join(folder, NOTE)
  if (!(await isThere(path))) return
  await rm(path, { force: true }).catch(fails("remove", path))
  await syncFolder(folder)
}

const isSame = (a: RowsLost, b: RowsLost): boolean => JSON.stringify(plain(a)) === JSON.stringify(plain(b))

/** Losses of a salvage that was interrupted and of the one after it, which finds those again that nothing was done for. */
export const together = (before: ReadonlyArray<RowsLost>, found: ReadonlyArray<RowsLost>): ReadonlyArray<RowsLost> => [
  ...before.filter((loss) => !found.some((other) => isSame(loss, other))),
  ...found
]
