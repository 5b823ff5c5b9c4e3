/** Every file operation of a script made to fail in turn, in two processes side by side. */
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import "./compiled.ts"
import type { FaultCounts } from "./fault-script.ts"

const SCRIPT = fileURLToPath(new URL("./fault-script.ts", import.meta.url))
const PROCESSES = 2

/** Runs every call, or one in `step`, each failing in one way, or with `allWays` in each. */
export const faultRuns = async (
  library: string,
  step: number,
  allWays: boolean
): Promise<ReadonlyArray<FaultCounts>> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-faults-"))
  const part = async (i: number): Promise<FaultCounts> => {
    const [own, control] = [join(folder, `files-${i}`), join(folder, `control-${i}`)]
    await mkdir(own)
    await writeFile(control, new Uint8Array(40))
    const args = [SCRIPT, String(1 + i * step), String(PROCESSES * step), allWays ? "1" : "0"]
    const env = {
      ...process.env,
      LD_PRELOAD: library,
      FAULTFS_FOLDER: own,
      FAULTFS_CONTROL: control
    }
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 2 ** 26 })
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as FaultCounts
  }
  try {
    return await Promise.all(Array.from({ length: PROCESSES }, (_, i) => part(i)))
  } finally {
    await rm(folder, { recursive: true })
  }
}
