/** The command line as a process of its own. */
import { spawn } from "node:child_process"
import { inRepository } from "./programs.ts"

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs a command to its end. */
export const sabine = (...args: ReadonlyArray<string>): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRepository("src/cli/main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    const texts = { out: "", err: "" }
    child.stdout.on("data", (data) => (texts.out += data))
    child.stderr.on("data", (data) => (texts.err += data))
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, ...texts }))
  })

/** Runs a command whose output goes to a file. */
export const sabineInto = (out: number, ...args: ReadonlyArray<string>): Promise<Omit<Outcome, "out">> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRepository("src/cli/main.ts"), ...args], {
      stdio: ["ignore", out, "pipe"]
    })
    let err = ""
    child.stderr!.on("data", (data) => (err += data))
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, err }))
  })

/** Runs a command whose output nobody reads: the pipe is closed. */
export const sabineUnread = (...args: ReadonlyArray<string>): Promise<Omit<Outcome, "out">> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRepository("src/cli/main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let err = ""
    child.stdout.destroy()
    child.stderr.on("data", (data) => (err += data))
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, err }))
  })
