/** What a kill at each file operation of a call would leave of a folder. */
import { cpSync } from "node:fs"
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { basename, join } from "node:path"

const OPERATIONS = ["open", "link", "rename", "rm", "mkdir"] as const

/** Calls, and copies `folder` into folders in `into` before each file operation of this thread, and after the last. */
export const copiesAtEachStep = async (
  folder: string,
  into: string,
  call: () => Promise<unknown>
): Promise<ReadonlyArray<string>> => {
  const copies: Array<string> = []
  const copy = () => {
    const to = join(into, `${copies.length}`)
    // A process that was killed holds no lock.
    cpSync(folder, to, { recursive: true, filter: (path) => basename(path) !== "lock" })
    copies.push(to)
  }
  const originals = OPERATIONS.map(
    (name) => [name, promises[name] as (...args: ReadonlyArray<unknown>) => unknown] as const
  )
  for (const [name, original] of originals) {
    const copying = (...args: ReadonlyArray<unknown>) => {
      copy()
      return original(...args)
    }
    Object.assign(promises, { [name]: copying })
  }
  syncBuiltinESMExports()
  try {
    await call()
  } finally {
    Object.assign(promises, Object.fromEntries(originals))
    syncBuiltinESMExports()
  }
  copy()
  return copies
}
