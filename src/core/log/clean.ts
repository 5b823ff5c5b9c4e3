/**
 * The mark of a log that was closed in order: what its collections are and how far they reach, so that opening a folder
 * whose images have everything needs neither SQLite nor the thread that writes it. Whoever opens the log takes the mark
 * away first, and a file that is not as it was when the mark was made has none.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs"
import { readFile, stat } from "node:fs/promises"
import { dirname } from "node:path"
import type { Kernels } from "../kernels/contract.ts"
import type { LoggedCollection } from "./schema.ts"

export interface CleanLog {
  /** Highest number that any frame ever had. */
  readonly highest: number
  readonly collections: ReadonlyArray<LoggedCollection & { readonly name: string }>
}

interface Mark extends CleanLog {
  /** Of the log: bytes, and when it was last written. */
  readonly bytes: number
  readonly writtenMs: number
}

const pathOf = (log: string): string => `${log}.clean`

/** Takes the mark away, before the log is opened. */
export const unmark = (log: string): void => rmSync(pathOf(log), { force: true })

/** Marks a log that was closed. */
export const mark = (kernels: Pick<Kernels, "crc32c">, log: string, clean: CleanLog): void => {
  const { size: bytes, mtimeMs: writtenMs } = statSync(log)
  const text = JSON.stringify({ ...clean, bytes, writtenMs } satisfies Mark)
  const path = pathOf(log)
  const file = openSync(`${path}.tmp`, "w")
  try {
    writeSync(file, `${kernels.crc32c(Buffer.from(text))} ${text}`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.tmp`, path)
  if (process.platform === "win32") return
  const folder = openSync(dirname(path), "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** What the mark of a log says; undefined without one that holds. */
export const readMark = async (kernels: Pick<Kernels, "crc32c">, log: string): Promise<CleanLog | undefined> => {
  const whole = await readFile(pathOf(log), "utf8").catch(() => "")
  const end = whole.indexOf(" ")
  const text = whole.slice(end + 1)
  if (end < 0 || Number(whole.slice(0, end)) !== kernels.crc32c(Buffer.from(text))) return undefined
  const { bytes, writtenMs, ...clean } = JSON.parse(text) as Mark
  const found = await stat(log).catch(() => undefined)
  return found?.size === bytes && found.mtimeMs === writtenMs ? clean : undefined
}
