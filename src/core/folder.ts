/** The folder of a database: its lock, and the names of the files in it. */
import { randomUUID } from "node:crypto"
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { uptime } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { FolderLocked, InvalidParameter, StorageFailure } from "./errors.ts"
import { abortable } from "./lift.ts"
import { fails } from "./store/file-failure.ts"
import type { ImagePaths } from "./store/image-pair.ts"

const IMAGE = ".image"
const PREVIOUS_IMAGE = ".previous.image"
const NAME = /^[A-Za-z0-9_-]{1,64}$/
const LOCK = "lock"
/** Clocks and uptimes agree to this many seconds, so a lock from before a restart is told from a live one. */
const CLOCK_TOLERANCE_S = 10
const START_TOLERANCE_S = 0.5
/** Times a lock of a process that ended is removed before somebody else is given the folder. */
const TAKE_TRIES = 4
/** A lock is made and written in two steps: how often, and how far apart, one that is empty is read again. */
const WRITE_TRIES = 20
const WRITE_WAIT_MS = 25

const bootTime = (): number => Math.round(Date.now() / 1000 - uptime())
/**
 * When this process began, in seconds since the machine did: no change of the clock moves it. Process numbers come
 * again, in a container at every start.
 */
const startTime = (): number => Math.round((uptime() - process.uptime()) * 10) / 10

/** The files of a collection; `InvalidParameter` when the name could leave the folder. */
export const imagePaths = (folder: string, collection: string): ImagePaths => {
  checkName(collection)
  return { newest: join(folder, collection + IMAGE), previous: join(folder, collection + PREVIOUS_IMAGE) }
}

/** The log of every collection. */
export const logPath = (folder: string): string => join(folder, "records.sqlite")

export const checkName = (collection: string): void => {
  if (typeof collection === "string" && NAME.test(collection)) return
  throw new InvalidParameter({ parameter: "name", reason: "wanted 1 to 64 letters, digits, hyphens and underscores" })
}

/** Collections that were saved in the folder. */
export const savedCollections = async (folder: string): Promise<ReadonlyArray<string>> =>
  (await storage("read", folder, readdir(folder)))
    .filter((name) => name.endsWith(IMAGE))
    .map((name) => name.slice(0, -IMAGE.length))
    .filter((name) => NAME.test(name))
    .sort()

/** A file operation whose failure is a `StorageFailure`. */
const storage = <A>(operation: string, path: string, result: Promise<A>): Promise<A> =>
  result.catch(fails(operation, path))

/** Makes the folder when it is not there and keeps other processes out of it for the length of the scope. */
export const lockFolder = (folder: string) =>
  Effect.acquireRelease(
    abortable(() => acquire(folder, join(folder, LOCK))),
    (path) => Effect.promise(() => rm(path, { force: true }))
  )

const acquire = async (folder: string, path: string): Promise<string> => {
  await storage("create", folder, mkdir(folder, { recursive: true }))
  for (let tries = 1; ; tries++) {
    try {
      await writeFile(path, `${process.pid} ${bootTime()} ${startTime()}\n`, { flag: "wx" })
      return path
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code !== "EEXIST" || tries === TAKE_TRIES) {
        throw new StorageFailure({ operation: "lock", path, code: String(code), cause })
      }
      const text = await storage("read", path, lockText(path))
      const pid = holder(text)
      if (pid !== undefined) throw new FolderLocked({ path: folder, pid })
      await removeEnded(path, text)
    }
  }
}

/** The process that holds a lock of this text; undefined when it has ended. */
const holder = (text: string): number | undefined => {
  const [pid = 0, boot = 0, start = 0] = text.split(" ").map(Number)
  if (Math.abs(boot - bootTime()) > CLOCK_TOLERANCE_S) return undefined
  if (pid === process.pid && Math.abs(start - startTime()) > START_TOLERANCE_S) return undefined
  return isRunning(pid) ? pid : undefined
}

/** Removes a lock that was read as `text`. Another that took its place meanwhile is put back. */
const removeEnded = async (path: string, text: string): Promise<void> => {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
    if ((await readFile(aside, "utf8")) !== text) await link(aside, path)
  } catch (error) {
    // Somebody else removed it, or locked the folder again: the next try tells.
    const { code } = error as NodeJS.ErrnoException
    if (code !== "ENOENT" && code !== "EEXIST") throw error
  } finally {
    await rm(aside, { force: true })
  }
}

/** What a lock says: nothing when it is gone, or when its maker ended before writing to it. */
const lockText = async (path: string): Promise<string> => {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined
      throw error
    })
    if (text === undefined) return ""
    if (text !== "" || tries === WRITE_TRIES) return text
    await setTimeout(WRITE_WAIT_MS)
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
