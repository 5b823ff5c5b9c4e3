/**
 * A process under `native/faultfs` that opens a log that was left, each time with another call failing, and writes to it; one
 * that cannot be read from some call on; and one of a newer version, which is to stay what it is.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { encodeFrame, setNumber } from "../../src/core/log/frame.ts"
import { LogFile } from "../../src/core/log/log-file.ts"
import { LogReader } from "../../src/core/log/log-reader.ts"
import { refusalOf } from "../../src/core/log/sqlite-errors.ts"
import { kernels } from "../../src/core/native.ts"
import { codeOf } from "../../src/core/store/system-codes.ts"
import { arm, callsAndFaults, disarm, folder } from "./fault-control.ts"

const [EIO, EACCES, EMFILE, EBADMSG, EUCLEAN] = [5, 13, 24, 74, 117]
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
  /** By code, what is said of a log that cannot be read from some call on: what it is refused with, or "damaged". */
  readonly unread: Record<number, Array<string>>
  /** Calls after which the log of a newer version was opened, or is no longer what it was. */
  readonly touched: Array<string>
}
const outcome: LogOutcome = { refused: 0, passed: 0, stuck: [], unread: {}, touched: [] }
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
for (const code of [EACCES, EBADMSG, EUCLEAN]) {
  const said: Array<string> = []
  for (let from = 1, faults = 1; faults > 0; from++) {
    cpSync(left, path, { recursive: true })
    arm({ from, to: Number.MAX_SAFE_INTEGER, code })
    let reader: LogReader | undefined
    try {
      reader = new LogReader(kernels, join(path, NAME))
      const { complaints, faults } = reader.survey()
      if (complaints.length + faults.length > 0) said.push("damaged")
    } catch (error) {
      const { errcode = 0 } = error as { readonly errcode?: number }
      said.push(codeOf(error as NodeJS.ErrnoException) ?? refusalOf(errcode, join(path, NAME)))
    }
    faults = callsAndFaults()[1]
    arm()
    reader?.close()
    rmSync(path, { recursive: true })
  }
  outcome.unread[code] = [...new Set(said)]
}

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
