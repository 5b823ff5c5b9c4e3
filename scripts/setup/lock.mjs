/**
 * One set-up at a time for each clone.
 *
 * The lock is a file created exclusively that holds the owner's process id. A lock whose owner is
 * gone is broken under a second file, held for microseconds, so that two waiting processes cannot
 * break each other's fresh lock.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { inRepository } from "./paths.mjs"

const LOCK = inRepository(".setup.lock")
const BREAK = inRepository(".setup.lock.break")
const POLL_MS = 100
/** A clean install and a clean build take minutes on a slow machine; a reused process id waits for ever. */
const LIMIT_MS = 20 * 60_000

/** Whether this process made the file. */
const create = (path) => {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" })
    return true
  } catch (error) {
    if (error.code === "EEXIST") return false
    throw error
  }
}

/** The process that holds the lock; undefined when nobody does or the id is not written yet. */
const owner = () => {
  try {
    return Number(readFileSync(LOCK, "utf8")) || undefined
  } catch (error) {
    if (error.code === "ENOENT") return undefined
    throw error
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: the process is there and belongs to someone else.
    return error.code !== "ESRCH"
  }
}

const breakIfAbandoned = () => {
  const before = owner()
  if (before === undefined || isAlive(before) || !create(BREAK)) return
  try {
    if (owner() === before) rmSync(LOCK)
  } finally {
    rmSync(BREAK)
  }
}

/** Runs `action` while no other set-up of this clone runs. */
export const withLock = async (action) => {
  const deadline = Date.now() + LIMIT_MS
  for (let told = false; !create(LOCK); told = true) {
    if (!told) console.log(`set-up: waiting for process ${owner() ?? ""}`)
    if (Date.now() > deadline) throw new Error(`remove ${LOCK}: its owner has held it for too long`)
    breakIfAbandoned()
    await sleep(POLL_MS)
  }
  try {
    action()
  } finally {
    rmSync(LOCK, { force: true })
  }
}
