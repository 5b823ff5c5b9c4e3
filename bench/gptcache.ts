/** What a look-up of GPTCache takes on this machine, measured in Python; installed beside the peers of the other bench. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { pythonWith } from "./peers/install.ts"

const FOLDER = join(import.meta.dirname, "gptcache")
const WORK = join(import.meta.dirname, "peers", "work", "gptcache")

const run = promisify(execFile)

/** Medians in microseconds. */
interface PeerTimes {
  readonly hit: number
  readonly miss: number
  /** Where they come from. */
  readonly name: string
}

/** The better of the times that were published: what counts where it cannot be measured. */
const PUBLISHED: PeerTimes = { hit: 9500, miss: 9500, name: "GPTCache as published, 9.5 to 12.7 ms" }

/** Fills a cache of so many entries and asks it, with vectors that are given. */
export const gptcacheTimes = async (entries: number, dimensions: number): Promise<PeerTimes> => {
  try {
    const python = pythonWith(WORK, join(FOLDER, "requirements.txt"))
    const script = join(FOLDER, "look-ups.py")
    const { stdout } = await run(python, [script, String(entries), String(dimensions)])
    const { hit, miss } = JSON.parse(stdout.trim().split("\n").at(-1)!)
    return { hit, miss, name: "GPTCache 0.1.44 with SQLite and faiss, on this machine" }
  } catch (error) {
    console.error(`GPTCache is not measured: ${error instanceof Error ? error.message : String(error)}`)
    return PUBLISHED
  }
}
