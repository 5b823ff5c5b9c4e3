/** Programs of `fresh/`, each run in a process that did nothing before. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

/** What the program printed, as JSON, and the wall time of its process in milliseconds. */
export const inFreshProcess = async <A>(
  program: string,
  ...args: ReadonlyArray<string>
): Promise<{ readonly printed: A; readonly ms: number }> => {
  const start = performance.now()
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, "fresh", `${program}.ts`), ...args])
  return { ms: performance.now() - start, printed: JSON.parse(stdout) }
}

/** What `fresh/open.ts` prints. */
export interface OpenedStore {
  readonly ms: number
  /** Bytes by which the resident set of the process grew. */
  readonly residentGrowth: number
}
