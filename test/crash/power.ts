/** A loss of power: what a dead process wrote and did not flush is taken out of its folder again. */
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"
import type { KillCounts } from "./kill-rounds.ts"
import { killRounds } from "./kill-rounds.ts"
import type { Start } from "./writer.ts"

/** A call that can be taken back: the record of `native/faultfs/src/journal.rs`. */
interface Call {
  readonly kind: string
  readonly numbers: ReadonlyArray<number>
  readonly bytes: Buffer
}

/** How many bytes follow a record: the sum of its last numbers. */
const COUNTS: Readonly<Record<string, number>> = { W: 1, C: 1, U: 1, R: 2, S: 0, D: 1 }

const callsOf = (journal: Buffer): ReadonlyArray<Call> => {
  const calls: Array<Call> = []
  for (let at = 0; ; ) {
    const end = journal.indexOf("\n", at)
    if (end < 0) return calls
    const [kind = "", ...rest] = journal.toString("latin1", at, end).split(" ")
    const numbers = rest.map(Number)
    const count = COUNTS[kind]! === 0 ? 0 : numbers.slice(-COUNTS[kind]!).reduce((sum, n) => sum + n, 0)
    calls.push({ kind, numbers, bytes: journal.subarray(end + 1, end + 1 + count) })
    at = end + 1 + count
  }
}

/** Gives a file a name again that it had, also where its folder is gone. */
const putBack = (file: string, path: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  linkSync(file, path)
}

const journalOf = (folder: string): string => `${folder}-journal`

/** Takes back what was not flushed: all of it, or what came last. Returns how many calls. */
const cutPower = (folder: string, bits: () => number): number => {
  const journal = journalOf(folder)
  const link = (inode: number): string => join(journal, String(inode))
  let calls: ReadonlyArray<Call>
  try {
    calls = callsOf(readFileSync(join(journal, "journal")))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    calls = []
  }
  const flushed = new Map<number, number>()
  /** Folders whose names were flushed. */
  const named = new Map<string, number>()
  for (const [i, { kind, numbers, bytes }] of calls.entries()) {
    if (kind === "S") flushed.set(numbers[0]!, i)
    if (kind === "D") named.set(bytes.toString(), i)
  }
  const kept = bits() % 2 === 0 ? 0 : bits() % (calls.length + 1)
  let taken = 0
  for (let i = calls.length - 1; i >= kept; i--) {
    const { kind, numbers, bytes } = calls[i]!
    const isContent = kind === "W" && i > (flushed.get(numbers[0]!) ?? -1)
    const path = bytes.subarray(0, kind === "R" ? numbers[2]! : undefined).toString()
    const isName = "CRU".includes(kind) && i > (named.get(dirname(path)) ?? -1)
    if (!isContent && !isName) continue
    taken++
    if (kind === "W") {
      const file = openSync(link(numbers[0]!), "r+")
      writeSync(file, bytes, 0, bytes.length, numbers[1]!)
      ftruncateSync(file, numbers[2]!)
      closeSync(file)
      continue
    }
    if (kind === "C") rmSync(path, { force: true })
    else if (kind === "U") putBack(link(numbers[0]!), path)
    else {
      const to = bytes.subarray(numbers[2]!).toString()
      rmSync(to, { force: true })
      if (numbers[1] !== 0) putBack(link(numbers[1]!), to)
      putBack(link(numbers[0]!), path)
    }
  }
  rmSync(journal, { recursive: true })
  mkdirSync(journal)
  return taken
}

export interface PowerCounts extends KillCounts {
  /** Calls that the losses of power took back. */
  taken: number
}

interface PowerOptions {
  readonly library: string
  readonly rounds: number
  readonly seed: number
  readonly durability?: Start["durability"]
  readonly onRound?: (counts: KillCounts) => void
}

/** Rounds of killing writers of which all that is not flushed is lost. */
export const powerRounds = async ({ library, ...options }: PowerOptions): Promise<PowerCounts> => {
  let taken = 0
  const folders = new Set<string>()
  const counts = await killRounds({
    ...options,
    environment: (folder) => {
      folders.add(folder)
      mkdirSync(journalOf(folder), { recursive: true })
      return { LD_PRELOAD: library, FAULTFS_FOLDER: folder, FAULTFS_JOURNAL: journalOf(folder) }
    },
    afterKill: async (folder, bits) => {
      taken += cutPower(folder, bits)
    }
  })
  for (const folder of folders) rmSync(journalOf(folder), { recursive: true, force: true })
  return { ...counts, taken }
}
