/** Why the system does not give back a file and its write-ahead log: SQLite is told and keeps it to itself. */
import { closeSync, openSync, readSync } from "node:fs"
import { codeOf } from "../store/system-codes.ts"

const STRETCH = 1 << 20

/** What the system says where all of it is read again; undefined where that is given back now. */
export const whyUnread = (path: string): string | undefined => {
  const bytes = Buffer.alloc(STRETCH)
  for (const name of [path, `${path}-wal`]) {
    try {
      readThrough(name, bytes)
    } catch (error) {
      const code = codeOf(error as NodeJS.ErrnoException)
      if (code !== "ENOENT") return code
    }
  }
  return undefined
}

const readThrough = (path: string, bytes: Buffer): void => {
  const file = openSync(path, "r")
  try {
    for (let at = 0, had = -1; had !== 0; at += had) had = readSync(file, bytes, 0, bytes.length, at)
  } finally {
    closeSync(file)
  }
}
