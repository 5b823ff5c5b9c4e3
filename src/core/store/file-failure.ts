/** What the operating system refused, as the one error callers know. */
import { StorageFailure } from "../errors.ts"

/** What a disk says that cannot give back what was written. */
const UNREADABLE = "EIO"
/** Codes of SQLite by number are about what the file says; the others stand for what the system refused. */
const OF_CONTENT = /^SQLITE_\d+$/

/**
 * Whether the system refused what it may grant another time, such as one more open file: that is no damage, and nobody
 * may go on as if what was refused were lost.
 */
export const isRefusal = (error: unknown): boolean =>
  error instanceof StorageFailure && error.code !== UNREADABLE && !OF_CONTENT.test(error.code)

/** For `.catch` of reading: a stretch that the disk cannot give back is `damaged`; throws what else is refused. */
export const damagedWhere =
  <A>(damaged: A, path: string) =>
  (cause: NodeJS.ErrnoException): A =>
    cause.code === UNREADABLE ? damaged : fails("read", path)(cause)

/** For `.catch`: throws the `StorageFailure` of an operation on a path. */
export const fails =
  (operation: string, path: string) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new StorageFailure({ operation, path, code: cause.code ?? "UNKNOWN", cause })
  }
