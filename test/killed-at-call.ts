/** Restores a checkpoint, or imports an archive, and kills itself before a file operation of a given number. */
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"

const [folder, method, argument, call] = process.argv.slice(2) as [string, "restore", string, string]
const OPERATIONS = ["open", "link", "rename", "rm", "mkdir"] as const

const { open } = await import("../src/index.ts")
const db = await open(folder)
await db.collection("notes")

let left = Number(call)
for (const name of OPERATIONS) {
  const original = promises[name] as (...args: ReadonlyArray<unknown>) => unknown
  Object.assign(promises, {
    [name]: (...args: ReadonlyArray<unknown>) => {
      if (left-- === 0) process.kill(process.pid, "SIGKILL")
      return original(...args)
    }
  })
}
syncBuiltinESMExports()
await db[method](argument)
process.kill(process.pid, "SIGTERM")
