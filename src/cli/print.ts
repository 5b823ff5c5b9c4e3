/** What a command found, on standard output, whose reader may have had enough before its end, as `head` has. */
import { once } from "node:events"
import { EXIT } from "./exit.ts"

/** Fires when nothing more can be written. */
const ended = new AbortController()

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (!ended.signal.aborted && error.code !== "EPIPE") {
    process.stderr.write(`sabine: ${error.message}\n`)
    process.exitCode = EXIT.failed
  }
  ended.abort()
})

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Prints a line of many and waits for room; whether anybody still reads. */
export const printNext = async (line: string): Promise<boolean> => {
  if (!ended.signal.aborted && !process.stdout.write(`${line}\n`)) {
    await once(process.stdout, "drain", { signal: ended.signal }).catch((error) => {
      // What the listener above has told already.
      if (!ended.signal.aborted) throw error
    })
  }
  return !ended.signal.aborted
}
