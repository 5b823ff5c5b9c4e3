/** What the operating system refused, as the one error callers know. */
import { StorageFailure } from "../errors.ts"

/** For `.catch`: throws the `StorageFailure` of an operation on a path. */
export const fails =
  (operation: string, path: string) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new StorageFailure({ operation, path, code: cause.code ?? "UNKNOWN", cause })
  }
