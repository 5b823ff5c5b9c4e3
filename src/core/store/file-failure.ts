/** What the operating system refused, as the one error callers know. */
import { StorageFailure } from "../errors.ts"
import { codeOf, isUnreadable } from "./system-codes.ts"

/**
 * Whether the system refused what it may grant another time, such as one more open file: that is no damage, and nobody
 * may go on as if what was refused were lost.
 */
export const isRefusal = (error: unknown): boolean => error instanceof StorageFailure && !isUnreadable(error.code)

/** For `.catch` of reading: a stretch that cannot be given back is `damaged`; throws what else is refused. */
export const damagedWhere =
  <A>(damaged: A, path: string) =>
  (cause: NodeJS.ErrnoException): A =>
    isUnreadable(codeOf(cause)) ? damaged : fails("read", path)(cause)

/** For `.catch`: throws the `StorageFailure` of an operation on a path. */
export const fails =
  (operation: string, path: string) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new StorageFailure({ operation, path, code: codeOf(cause) ?? cause.code ?? "UNKNOWN", cause })
  }
