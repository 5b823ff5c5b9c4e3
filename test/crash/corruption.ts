/** Folders with damaged files are opened: the answers are right, or an error says what is wrong. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isSabineError, open } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { damage } from "./damage.ts"
import { checkFound, openRows, statesOf, wholeEntry } from "./rows.ts"
import { contentOf, makeSpecimens, type Specimen } from "./specimen.ts"

/** Tags of errors that say that files are at fault. */
const TYPED = ["ImageInvalid", "LogInvalid", "StorageFailure"]
/** One case in so many damages a second file, or the same twice. */
const TWICE = 5
/** Cases that run side by side: most of the time one waits for threads to start, or for the disk. */
const LANES = 4
/** An entry that no specimen has. */
const ABSENT = 500
const WAL = "-wal"
const FLUSHED = ".flushed"

export interface CorruptionCounts {
  cases: number
  right: number
  /** Typed errors, by tag. */
  readonly typed: Record<string, number>
  /**
   * The state after an earlier call, where SQLite's write-ahead log was damaged and with it the file that says how far it
   * was flushed: SQLite takes what follows the first page that does not agree for writes that a loss of power interrupted.
   */
  rolledBack: number
  wrong: number
  readonly examples: Array<string>
}

type Outcome = "right" | "rolledBack" | { readonly typed: string } | { readonly wrong: string }

interface CorruptionOptions {
  readonly cases: number
  readonly seed: number
  readonly onCase?: (counts: CorruptionCounts) => void
}

export const corruptionCases = async ({ cases, seed, onCase }: CorruptionOptions): Promise<CorruptionCounts> => {
  const specimens = await makeSpecimens()
  const counts: CorruptionCounts = { cases: 0, right: 0, typed: {}, rolledBack: 0, wrong: 0, examples: [] }
  const one = async (i: number): Promise<void> => {
    const bits = randomBits(seed * 1_000_003 + i)
    const specimen = specimens[bits() % specimens.length]!
    const files = new Map(specimen.files)
    const said: Array<string> = []
    for (let n = bits() % TWICE === 0 ? 2 : 1; n > 0; n--) {
      const name = [...files.keys()][bits() % files.size]!
      const { kind, bytes, at } = damage(files.get(name)!, name.endsWith(WAL), bits)
      files.set(name, bytes)
      said.push(`${kind} of ${name} at ${at}`)
    }
    const outcome = await outcomeOf(specimen, files)
    counts.cases++
    if (outcome === "right") counts.right++
    else if (outcome === "rolledBack" && [WAL, FLUSHED].every((end) => said.some((text) => text.includes(end))))
      counts.rolledBack++
    else if (typeof outcome === "object" && "typed" in outcome) {
      counts.typed[outcome.typed] = (counts.typed[outcome.typed] ?? 0) + 1
    } else {
      counts.wrong++
      const what = typeof outcome === "object" ? outcome.wrong : outcome
      counts.examples.push(`seed ${seed}, case ${i}, ${specimen.name} folder, ${said.join(", ")}: ${what}`)
    }
    onCase?.(counts)
  }
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < cases) await one(next++)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return counts
}

/** What opening a folder of these files, reading all of it and writing to it comes to. */
const outcomeOf = async (specimen: Specimen, files: ReadonlyMap<string, Buffer>): Promise<Outcome> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-damaged-"))
  try {
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes)
    await using db = await open(folder, { threads: 1 })
    const collection = await openRows(db)
    const states = await statesOf(collection)
    await checkFound(collection, states)
    const content = contentOf(states)
    if (content !== specimen.content) {
      return specimen.history.includes(content) ? "rolledBack" : { wrong: `holds ${content || "nothing"}` }
    }
    await collection.add(wholeEntry(ABSENT, 1))
    await db.save()
    return "right"
  } catch (error) {
    if (isSabineError(error) && TYPED.includes(error._tag)) return { typed: error._tag }
    return { wrong: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  } finally {
    await rm(folder, { recursive: true })
  }
}
