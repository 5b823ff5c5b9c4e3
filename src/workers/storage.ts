/** The storage worker: the one thread that touches the log. Comlink carries the calls, failures come back as values. */
import { parentPort, workerData } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import { LogDamage, LogFile } from "../core/log/log-file.ts"
import { LogReader, type ReadRows } from "../core/log/log-reader.ts"
import { isOfContent, isOutOfRange, refusalOf } from "../core/log/sqlite-errors.ts"
import { kernels } from "../core/native.ts"
import { codeOf } from "../core/store/system-codes.ts"

/** What the worker is started with. */
export interface StorageSettings {
  readonly path: string
  /** Whether commits are flushed when SQLite pleases. */
  readonly relaxed: boolean
}

/** Why a call failed. */
interface StorageFault {
  readonly kind: "damaged" | "refused"
  /** The system's or SQLite's code. */
  readonly code: string
  readonly reason: string
}
/** One of the two is there. */
export interface Answer<A> {
  readonly value?: A
  readonly fault?: StorageFault
}

const faultOf = (error: unknown): StorageFault => {
  const reason = error instanceof Error ? error.message : String(error)
  if (error instanceof LogDamage || isOutOfRange(error)) return { kind: "damaged", code: "SABINE_CRC", reason }
  const { errcode } = error as { readonly errcode?: number }
  if (errcode === undefined) {
    // Of a file beside the log.
    const code = codeOf(error as NodeJS.ErrnoException)
    if (code !== undefined) return { kind: "refused", code, reason }
    throw error
  }
  if (isOfContent(errcode)) return { kind: "damaged", code: `SQLITE_${errcode}`, reason }
  return { kind: "refused", code: refusalOf(errcode, (workerData as StorageSettings).path), reason }
}

let opened: LogFile | undefined
let read: LogReader | undefined

/** Opened with the first call, so that a refusal reaches whoever asks; tried again by the next. */
const logFile = (): LogFile => {
  const { path, relaxed } = workerData as StorageSettings
  opened ??= new LogFile(kernels, path, relaxed)
  return opened
}

/** The same file, read as far as that goes and not changed. */
const logReader = (): LogReader => {
  read ??= new LogReader(kernels, (workerData as StorageSettings).path)
  return read
}

const answering =
  <Arguments extends ReadonlyArray<unknown>, A>(call: (...args: Arguments) => A) =>
  (...args: Arguments): Answer<A> => {
    try {
      return { value: call(...args) }
    } catch (error) {
      return { fault: faultOf(error) }
    }
  }

const storage = {
  names: answering(() => logFile().names()),
  collection: answering((name: string) => logFile().collection(name)),
  create: answering((name: string, shape: string) => logFile().create(name, shape)),
  highest: answering(() => logFile().highest()),
  follows: answering((last: number) => logFile().follows(last)),
  append: answering((frames: ReadonlyArray<Uint8Array>) => logFile().append(frames)),
  has: answering((number: number) => logFile().has(number)),
  frames: answering((collection: number, after: number, bytes: number) => logFile().frames(collection, after, bytes)),
  fold: answering((name: string, number: number) => logFile().fold(name, number)),
  adopt: answering((name: string, number: number, frames: ReadonlyArray<Uint8Array>) =>
    logFile().adopt(name, number, frames)
  ),
  entries: answering((collection: number, after: number, count: number) => logFile().entries(collection, after, count)),
  compact: answering(() => logFile().compact()),
  flush: answering(() => logFile().flush()),
  restore: answering((...args: Parameters<LogFile["restore"]>) => logFile().restore(...args)),
  restoring: answering(() => logFile().restoring()),
  restored: answering(() => logFile().restored()),
  check: answering(() => logFile().check()),
  survey: answering(() => logReader().survey()),
  isRestoring: answering(() => logReader().isRestoring()),
  rows: answering(
    (table: "log" | "entries", after: number, bytes: number): ReadRows => logReader().rows(table, after, bytes)
  ),
  close: answering(() => {
    read?.close()
    read = undefined
    opened?.close()
    opened = undefined
  })
}

export type StorageWorker = typeof storage

if (parentPort !== null) Comlink.expose(storage, nodeEndpoint(parentPort))
