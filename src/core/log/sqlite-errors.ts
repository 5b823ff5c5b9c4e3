/** What errors of SQLite tell: damage of the file, or a system that refuses. */
import { isUnreadable } from "../store/system-codes.ts"
import { whyUnread } from "./read-again.ts"

/** Primary result codes that a file brings about: tables it has not, damage, a value that is too long, no database. */
const OF_CONTENT: ReadonlyArray<number> = [1, 11, 18, 26]

/** Of failures of the system, those where the disk does not give back what was written. */
const UNREADABLE: ReadonlyArray<number> = [522, 8202, 8458]
/** A read that failed, with whatever the system said but EIO and ENXIO where these have a number of their own: not on Windows. */
const UNREAD = 266
const IS_ALWAYS_DAMAGE = process.platform === "win32"
/** Those of calls that write, flush or cut the file. */
const UNWRITABLE: ReadonlyArray<number> = [778, 1034, 1290, 1546]

/** The primary result code of every failure of the system. */
const FAILED = 10
/** Primary result codes that have a name in the system, and that of a file which cannot be opened. */
const NAMES: Readonly<Record<number, string>> = {
  3: "EPERM",
  5: "EBUSY",
  6: "EBUSY",
  7: "ENOMEM",
  8: "EROFS",
  13: "ENOSPC",
  14: "SQLITE_CANTOPEN",
  15: "SQLITE_PROTOCOL",
  22: "EFBIG"
}

const primaryOf = (errcode: number): number => errcode & 0xff

/** Whether a result code is about what the file holds. */
export const isOfContent = (errcode: number): boolean => OF_CONTENT.includes(primaryOf(errcode))

/** Whether an error says that something of the file is damaged or cannot be read. */
export const isDamage = (error: unknown, path: string): boolean => {
  const { errcode } = error as { readonly errcode?: number }
  if (errcode === UNREAD) return IS_ALWAYS_DAMAGE || isUnreadable(whyUnread(path))
  const isSaid = errcode !== undefined && (isOfContent(errcode) || UNREADABLE.includes(errcode))
  return isSaid || isOutOfRange(error)
}

/** Whether node:sqlite says that a row has a number that no double holds: none was written. Buffers have the same code. */
export const isOutOfRange = (error: unknown): boolean =>
  error instanceof RangeError &&
  (error as NodeJS.ErrnoException).code === "ERR_OUT_OF_RANGE" &&
  error.message.startsWith("Value is too large")

/** The code by which callers know a refusal: the system's where it has one. */
export const refusalOf = (errcode: number, path: string): string => {
  const primary = primaryOf(errcode)
  if (primary !== FAILED) return NAMES[primary] ?? `SQLITE_${errcode}`
  if (errcode === UNREAD) return IS_ALWAYS_DAMAGE ? "EIO" : (whyUnread(path) ?? "SQLITE_IOERR")
  return UNREADABLE.includes(errcode) || UNWRITABLE.includes(errcode) ? "EIO" : "SQLITE_IOERR"
}
