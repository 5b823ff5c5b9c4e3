/**
 * How a lock file changes hands where whoever held it has ended, so that of all that find it so at once one has it.
 *
 * What is in a lock is never there twice. To follow a text is to make, as the only one, a file named after it; that
 * counts while the lock still has the text that it began with. The file then takes the name of the lock in one step.
 * One that ended between the two is followed in the same way, by its own text.
 */
import { createHash, randomUUID } from "node:crypto"
import { link, readFile, rename, rm, writeFile } from "node:fs/promises"
import { setTimeout } from "node:timers/promises"
import { withoutLinks } from "./link-file.ts"

/** Where links are not to be had a lock is made and written in two steps: how often, and how far apart, it is read again. */
const WRITE_TRIES = 20
const WRITE_WAIT_MS = 25
const NAME_DIGITS = 32

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/** The file of whoever follows the one that wrote `text`. */
const following = (path: string, text: string): string =>
  `${path}.${createHash("sha256").update(text).digest("hex").slice(0, NAME_DIGITS)}`

/** Makes a file that has all of its text from the first moment; false when there is one. */
export const madeFirst = async (path: string, text: string): Promise<boolean> => {
  const aside = `${path}.${randomUUID()}`
  try {
    await writeFile(aside, text, { flag: "wx" })
    return await linkedFirst(aside, path, text)
  } finally {
    await rm(aside, { force: true }).catch(() => undefined)
  }
}

const linkedFirst = async (aside: string, path: string, text: string): Promise<boolean> => {
  try {
    await link(aside, path)
    return true
  } catch (error) {
    const code = codeOf(error)
    // Whoever has the folder may have taken what was put aside for litter.
    if (code === "EEXIST" || code === "ENOENT") return false
    if (!withoutLinks(code)) throw error
    return await writtenFirst(path, text)
  }
}

const writtenFirst = async (path: string, text: string): Promise<boolean> => {
  try {
    await writeFile(path, text, { flag: "wx" })
    return true
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false
    throw error
  }
}

/** What a lock says, then what those say who mean to follow, one after the other; nothing when there is no lock. */
export const lineOf = async (path: string): Promise<ReadonlyArray<string>> => {
  const line: Array<string> = []
  for (let next = path; ; next = following(path, line.at(-1)!)) {
    const text = await textOf(next)
    if (text === undefined || line.includes(text)) return line
    line.push(text)
  }
}

/** Takes the lock after all of a line, each of which has ended; false when somebody else was quicker. */
export const follow = async (path: string, line: ReadonlyArray<string>, text: string): Promise<boolean> => {
  const mine = following(path, line.at(-1)!)
  if (!(await madeFirst(mine, text))) return false
  try {
    if ((await textOf(path)) !== line[0]) return false
    await rename(mine, path)
  } finally {
    await rm(mine, { force: true }).catch(() => undefined)
  }
  for (const earlier of line.slice(0, -1)) await rm(following(path, earlier), { force: true }).catch(() => undefined)
  return true
}

/** What a file says: nothing when its maker ended before writing to it; undefined when it is gone. */
const textOf = async (path: string): Promise<string | undefined> => {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined
      throw error
    })
    if (text !== "" || tries === WRITE_TRIES) return text
    await setTimeout(WRITE_WAIT_MS)
  }
}
