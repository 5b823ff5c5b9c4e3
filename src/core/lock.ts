/**
 * The lock of a folder: a file that says which thread of which process has it open. One whose thread has ended holds
 * nobody up, so a lock that could not be removed, by a process that was killed, is taken over.
 */
import { randomUUID } from "node:crypto"
import { existsSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { mkdir, readFile, realpath, rm } from "node:fs/promises"
import { uptime } from "node:os"
import { join } from "node:path"
import { isMainThread, threadId } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { bootName } from "./boot.ts"
import { FolderLocked, StorageFailure } from "./errors.ts"
import { abortable } from "./lift.ts"
import { fails } from "./store/file-failure.ts"
import { follow, lineOf, madeFirst } from "./store/succession.ts"

const LOCK = "lock"
/** Where the system has no name for a boot, clocks and uptimes tell one from another to this many seconds. */
const CLOCK_TOLERANCE_S = 10
const START_TOLERANCE_S = 0.5
/** Times a lock is asked for while others come and go. */
const TAKE_TRIES = 4

/** Which start of the machine this is. */
const boot = (): string => bootName() ?? String(Math.round(Date.now() / 1000 - uptime()))
/**
 * When this process began, in seconds since the machine did: no change of the clock moves it. Process numbers come
 * again, in a container at every start.
 */
const startTime = (): number => Math.round((uptime() - process.uptime()) * 10) / 10

/** The number of this thread in the system, where `/proc` tells; 0 elsewhere. */
const systemThread = (): number => {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1))
  } catch {
    return 0
  }
}

/** Locks that this thread has or takes, by their paths without links, and what its own file says once it has it. */
const taken = new Map<string, string | undefined>()

/** Removes what this thread holds: it is about to end without closing. */
const releaseAll = (): void => {
  for (const [path, mine] of taken) if (mine !== undefined && textAt(path) === mine) rmSync(path, { force: true })
}

const textAt = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** The first process of a container is not ended by signals that it does not listen for. */
const INIT = 1
const EXIT_TERMINATED = 143

/**
 * Lets the signal end the process as it does without a listener, but for the locks. Runs before all others and is gone
 * then: a program that listens itself, or counts who does, decides alone.
 */
const onTerminate = (): void => {
  process.off("SIGTERM", onTerminate)
  if (process.listenerCount("SIGTERM") > 0) return
  if (process.pid === INIT) process.exit(EXIT_TERMINATED)
  releaseAll()
  process.kill(process.pid, "SIGTERM")
}

const take = (path: string): void => {
  if (taken.size === 0) {
    process.on("exit", releaseAll)
    if (isMainThread) process.prependListener("SIGTERM", onTerminate)
  }
  taken.set(path, undefined)
}
const letGo = (path: string): void => {
  taken.delete(path)
  if (taken.size > 0) return
  process.off("exit", releaseAll)
  process.off("SIGTERM", onTerminate)
}

/** Makes the folder when it is not there and keeps other processes and threads out of it for the length of the scope. */
export const lockFolder = (folder: string) =>
  Effect.acquireRelease(
    abortable(() => acquire(folder)),
    (path) => Effect.promise(() => release(path))
  )

/**
 * A file that cannot be removed holds nobody of this thread up, nor anybody once it has ended. One that says something
 * else is of whoever was let in without this thread, as where somebody took its file away.
 */
const release = async (path: string): Promise<void> => {
  const text = await readFile(path, "utf8").catch(() => undefined)
  if (text !== undefined && text === taken.get(path)) await rm(path, { force: true }).catch(() => undefined)
  letGo(path)
}

const acquire = async (folder: string): Promise<string> => {
  await mkdir(folder, { recursive: true }).catch(fails("create", folder))
  const path = join(await realpath(folder).catch(fails("read", folder)), LOCK)
  if (taken.has(path)) throw new FolderLocked({ path: folder, pid: process.pid })
  take(path)
  try {
    taken.set(path, await makeLock(folder, path))
    return path
  } catch (error) {
    letGo(path)
    throw error
  }
}

/** What the lock says that was made. */
const makeLock = async (folder: string, path: string): Promise<string> => {
  const mine = `${process.pid} ${boot()} ${startTime()} ${threadId} ${systemThread()} ${randomUUID()}\n`
  for (let tries = 1; tries <= TAKE_TRIES; tries++) {
    let refused: NodeJS.ErrnoException | undefined
    const isFirst = await madeFirst(path, mine).catch((error) => {
      refused = error
      return false
    })
    if (isFirst) return mine
    const line = await lineOf(path).catch(fails("read", path))
    const pid = line.map(holder).find((found) => found !== undefined)
    if (pid !== undefined) throw new FolderLocked({ path: folder, pid })
    // Where nothing can be written, somebody else may have the folder for all that.
    if (refused !== undefined) fails("lock", path)(refused)
    if (line.length > 0 && (await follow(path, line, mine).catch(fails("lock", path)))) return mine
  }
  throw new StorageFailure({ operation: "lock", path, code: "EEXIST", cause: "others come and go" })
}

/** The process that holds a lock of this text; undefined when it, or its thread, has ended. */
const holder = (text: string): number | undefined => {
  const [number = "", its = "", start = "", thread = "", inSystem = ""] = text.trim().split(" ")
  const pid = Number(number)
  if (!isSameBoot(its) || !isRunning(pid)) return undefined
  if (pid === process.pid) {
    if (Math.abs(Number(start) - startTime()) > START_TOLERANCE_S) return undefined
    // What this thread has it knows: this one it could not remove.
    if (Number(thread) === threadId) return undefined
  }
  const threads = `/proc/${pid}/task`
  return Number(inSystem) > 0 && existsSync(threads) && !existsSync(`${threads}/${inSystem}`) ? undefined : pid
}

const isSameBoot = (its: string): boolean => {
  const ours = boot()
  return its === ours || Math.abs(Number(its) - Number(ours)) <= CLOCK_TOLERANCE_S
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
