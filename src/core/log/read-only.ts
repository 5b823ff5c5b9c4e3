/** The file of a log opened to be read. */
import { accessSync, closeSync, constants, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"

/** The files of the system without its locks. */
const WITHOUT_LOCKS = process.platform === "win32" ? "win32-none" : "unix-none"

/** What SQLite says where it may not make a file. */
const CANNOT_OPEN = 14
const isWithoutIndex = (error: unknown): boolean =>
  ((error as { readonly errcode?: number }).errcode ?? 0) % 256 === CANNOT_OPEN

/** Whether files of the folder of a file may be taken away. */
const isWritable = (path: string): boolean => {
  try {
    accessSync(dirname(path), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** SQLite does not tell what the system says of a file that cannot be opened: that is asked for again. */
const read = (path: string, url: URL): DatabaseSync => {
  try {
    return new DatabaseSync(url, { readOnly: true })
  } catch (error) {
    closeSync(openSync(path, "r"))
    throw error
  }
}

/** The file, read only, with parameters of its URL, and what is run on it before anything else. */
const opened = (path: string, parameters: Readonly<Record<string, string>>, pragmas = ""): DatabaseSync => {
  const url = pathToFileURL(path)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  const db = read(path, url)
  try {
    db.exec(`${pragmas} PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

export const versionOf = (db: DatabaseSync): number => Number(db.prepare("PRAGMA user_version").get()?.["user_version"])

/** The file alone, where its write-ahead log has nothing: none is made beside it, and closing leaves what is there. */
export const openAlone = (path: string): DatabaseSync => opened(path, { immutable: "1" })

/** The file and what its write-ahead log has. */
export const openWithWal = (path: string): DatabaseSync => {
  const db = opened(path, {})
  try {
    versionOf(db)
  } catch (error) {
    // Without locks the log of somebody who writes could be taken away when it is closed, where that is allowed.
    if (!isWithoutIndex(error) || isWritable(path)) return db
    db.close()
    // No index of the log may be made beside it: it is made in memory, which takes the file for its own.
    return opened(path, { vfs: WITHOUT_LOCKS }, "PRAGMA locking_mode = EXCLUSIVE;")
  }
  return db
}
