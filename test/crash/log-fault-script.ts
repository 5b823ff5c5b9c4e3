/**
 * A process under `native/faultfs` that opens a log that was left, each time with another call failing, and writes to it; and
 * one of a newer version, which is to stay what it is.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { encodeFrame, setNumber } from "../../src/core/log/frame.ts"
import { LogFile } from "../../src/core/log/log-file.ts"
import { kernels } from "../../src/core/native.ts"
import { arm, callsAndFaults, disarm, folder } from "./fault-control.ts"

const [EIO, EMFILE] = [5, 24]
const NAME = "records.sqlite"

const append = (log: LogFile, number: number): void => {
  const frame = encodeFrame({ operation: "delete", keys: ["a"] })
  setNumber(frame, { number, previous: number - 1, collection: 1 })
  log.append([frame])
}

const left = join(folder, "left")
const path = join(folder, "run")
arm()
mkdirSync(left)
const log = new LogFile(kernels, join(left, NAME), false)
log.create("notes", "{}")
append(log, 1)

export interface LogOutcome {
  /** Openings that failed with a call, and that did not. */
  refused: number
  passed: number
  /** Calls after which the log could not be written to though all was well again. */
  readonly stuck: Array<string>
  /** Calls after which the log of a newer version was opened, or is no longer what it was. */
  readonly touched: Array<string>
}
const outcome: LogOutcome = { refused: 0, passed: 0, stuck: [], touched: [] }
for (const code of [EIO, EMFILE]) {
  for (let from = 1, faults = 1; faults > 0; from++) {
    cpSync(left, path, { recursive: true })
    arm({ from, to: from, code })
    let opened: LogFile | undefined
    try {
      opened = new LogFile(kernels, join(path, NAME), false)
      outcome.passed++
    } catch {
      outcome.refused++
    }
    faults = callsAndFaults()[1]
    arm()
    try {
      opened ??= new LogFile(kernels, join(path, NAME), false)
      append(opened, 2)
    } catch (error) {
      outcome.stuck.push(`call ${from} with ${code}: ${error}`)
    }
    opened?.close()
    rmSync(path, { recursive: true })
  }
}

log.close()
const newer = new DatabaseSync(join(left, NAME))
newer.exec("PRAGMA user_version = 99")
const files = ["", "-wal"].map((end) => NAME + end)
const bytesOf = (folder: string): ReadonlyArray<string> =>
  files.map((name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "base64") : "gone"))
const before = bytesOf(left)
for (const code of [EIO, EMFILE]) {
  for (let from = 1, faults = 1; faults > 0; from++) {
    cpSync(left, path, { recursive: true })
    arm({ from, to: from, code })
    let isRefused = false
    try {
      new LogFile(kernels, join(path, NAME), false).close()
    } catch {
      isRefused = true
    }
    faults = callsAndFaults()[1]
    arm()
    if (!isRefused || bytesOf(path).join() !== before.join()) outcome.touched.push(`call ${from} with ${code}`)
    rmSync(path, { recursive: true })
  }
}
disarm()
newer.close()
process.stdout.write(`\n${JSON.stringify(outcome)}\n`)
