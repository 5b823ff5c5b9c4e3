/** The file of a log opened to be read and left as it is, closing included: who may write moves its write-ahead log into it then. */
import { existsSync, statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"

/** The files of the system without its locks. */
const WITHOUT_LOCKS = process.platform === "win32" ? "win32-none" : "unix-none"

/** Whether there are writes that only the write-ahead log of a file may have. */
export const hasWal = (path: string): boolean => existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0

/** The file, read only, in a way that SQLite has words for. */
export const openReadOnly = (path: string, way: Readonly<Record<string, string>> = {}, first = ""): DatabaseSync => {
  const url = pathToFileURL(path)
  for (const [name, value] of Object.entries(way)) url.searchParams.set(name, value)
  const db = new DatabaseSync(url, { readOnly: true })
  try {
    db.exec(`${first} PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * The same with the index of its write-ahead log in memory. That takes the file for its own, which a reader cannot say to
 * the system: somebody else may write meanwhile.
 */
export const openBesideNothing = (path: string): DatabaseSync =>
  openReadOnly(path, { vfs: WITHOUT_LOCKS }, "PRAGMA locking_mode = EXCLUSIVE;")

export const versionOf = (db: DatabaseSync): number => Number(db.prepare("PRAGMA user_version").get()?.["user_version"])
