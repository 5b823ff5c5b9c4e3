/** Fresh processes, one for each stage of each configuration, and what they print. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { programOf } from "./catalogue.ts"
import type { Job, Line } from "./job.ts"

/** Last lines of a failing process that are worth telling. */
const TOLD_LINES = 12

/** What the processes of one run have in common. */
export interface Place {
  /** The Python of the virtual environment. */
  readonly python: string
}

/** Runs one job and returns the lines it printed; what else the peer writes is left out. */
export const runJob = async (place: Place, peer: string, job: Job): Promise<ReadonlyArray<Line>> => {
  const program = programOf(peer)
  const [command, ...args] =
    program === undefined
      ? [process.execPath, join(import.meta.dirname, "child.ts"), peer]
      : // Isolated: the folder of a program named like the module it imports is not searched for modules.
        [place.python, "-I", "-B", join(import.meta.dirname, program)]
  const child = spawn(command, [...args, JSON.stringify(job)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LANCE_CPU_THREADS: "1", UV_THREADPOOL_SIZE: "4" }
  })
  const lines: Array<Line> = []
  const complaints: Array<string> = []
  const printed = createInterface({ input: child.stdout })
  printed.on("line", (line) => {
    if (line.startsWith('{"stage"')) lines.push(JSON.parse(line))
  })
  createInterface({ input: child.stderr }).on("line", (line) => {
    complaints.push(line)
  })
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => resolve(code ?? signal))
  })
  const code = await ended
  if (code !== 0) throw new Error(reasonOf(complaints) ?? `ended with ${code}`)
  return lines
}

/** The line that says what went wrong: that of the error, or the last. */
const reasonOf = (complaints: ReadonlyArray<string>): string | undefined =>
  complaints.slice(-TOLD_LINES).find((line) => /^\w*(Error|Exception)\b.*:/.test(line)) ??
  complaints.find((line) => /Error.*:/.test(line)) ??
  complaints.at(-1)
