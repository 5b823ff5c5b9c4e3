/** Every file operation of a script made to fail in turn, in two processes side by side. */
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import "./compiled.ts"
import type { FaultCounts } from "./fault-script.ts"
import type { FaultPart } from "./fault-ways.ts"
import type { FileOutcome } from "./file-fault-script.ts"
import type { LogOutcome } from "./log-fault-script.ts"
import type { MendingCounts } from "./mending-script.ts"

const PROCESSES = 2

/** Runs a script under the library, in a folder of its own; what it says at its end. */
const underFaults = async <A>(library: string, script: string, ...args: ReadonlyArray<string>): Promise<A> => {
  const root = await mkdtemp(join(tmpdir(), "sabine-faults-"))
  try {
    const [folder, control] = [join(root, "files"), join(root, "control")]
    await mkdir(folder)
    await writeFile(control, new Uint8Array(48))
    const env = { ...process.env, LD_PRELOAD: library, FAULTFS_FOLDER: folder, FAULTFS_CONTROL: control }
    const path = fileURLToPath(new URL(script, import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [path, ...args], { env, maxBuffer: 2 ** 26 })
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as A
  } finally {
    await rm(root, { recursive: true })
  }
}

/** Runs a script with every call failing, or one in `step`, each in one way, or with `allWays` in each. */
const inParts = <A>(
  library: string,
  script: string,
  { step, allWays }: Omit<FaultPart, "first">
): Promise<ReadonlyArray<A>> =>
  Promise.all(
    Array.from({ length: PROCESSES }, (_, i) => {
      const part: FaultPart = { first: 1 + i * step, step: PROCESSES * step, allWays }
      return underFaults<A>(library, script, JSON.stringify(part))
    })
  )

/** Writes, saves, goes to other states and opens. */
export const faultRuns = (library: string, part: Omit<FaultPart, "first">): Promise<ReadonlyArray<FaultCounts>> =>
  inParts(library, "./fault-script.ts", part)

/** Verifies and repairs. */
export const mendingFaults = (library: string, part: Omit<FaultPart, "first">): Promise<ReadonlyArray<MendingCounts>> =>
  inParts(library, "./mending-script.ts", part)

/** Opens a log that was left, each time with another call failing, and writes to it. */
export const logFaults = (library: string): Promise<LogOutcome> =>
  underFaults<LogOutcome>(library, "./log-fault-script.ts")

/** Uses single files with each call failing. */
export const fileFaults = (library: string): Promise<FileOutcome> =>
  underFaults<FileOutcome>(library, "./file-fault-script.ts")
