/** A writer in a process of its own, what it says, and its end. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import type { Event } from "./oracle.ts"
import type { Start } from "./writer.ts"

const WRITER = fileURLToPath(new URL("./writer.ts", import.meta.url))

/** When a writer is killed. */
export interface Moment {
  readonly events: number
  readonly ms: number
}

/** Whom it reaches what a writer says. */
interface Hearer<Said> {
  readonly take: (event: Said) => void
}

export interface Victim<Begin = Start, Said = Event> {
  /**
   * Starts the writing and kills the process without a warning once it has said so much and some time went by after
   * that; what it said until then reaches the oracle. Fails when the process ended by itself.
   */
  readonly run: (start: Begin, oracle: Hearer<Said>, moment: Moment) => Promise<void>
  /** Ends it unused. */
  readonly discard: () => void
}

/** Starts a process that has its modules loaded when it is needed; `program` writes something else than rows. */
export const startVictim = <Begin extends { readonly seed: number } = Start, Said extends object = Event>(
  environment: NodeJS.ProcessEnv = {},
  program = WRITER
): Victim<Begin, Said> => {
  const child: ChildProcess = spawn(process.execPath, [program], {
    stdio: ["pipe", "ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment }
  })
  let errors = ""
  child.stderr!.on("data", (text) => {
    errors += text
  })
  const closed = once(child, "close")
  const lines = createInterface({ input: child.stdio[3] as Readable })
  let oracle: Hearer<Said> | undefined
  let left = 0
  let heard: () => void = () => undefined
  const ready = new Promise<void>((resolve) => {
    lines.on("line", (line) => {
      // The last line may be cut short by the end: it was not said then.
      if (!line.endsWith("}")) return
      const event = JSON.parse(line) as Said
      if ("acked" in event && event.acked === 0) resolve()
      else {
        oracle?.take(event)
        if (--left <= 0) heard()
      }
    })
  })
  return {
    run: async (start, to, { events, ms }) => {
      oracle = to
      left = events
      const enough = new Promise<void>((resolve) => {
        heard = resolve
      })
      await Promise.race([ready, closed])
      child.stdin!.write(`${JSON.stringify(start)}\n`)
      if (events > 0) await Promise.race([enough, closed])
      await Promise.race([setTimeout(ms), closed])
      child.kill("SIGKILL")
      const [, signal] = (await closed) as [number | null, NodeJS.Signals | null]
      if (signal !== "SIGKILL") throw new Error(`the writer ended by itself, seed ${start.seed}:\n${errors}`)
    },
    discard: () => {
      child.kill("SIGKILL")
    }
  }
}
