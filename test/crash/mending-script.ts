/**
 * A process under `native/faultfs` that verifies and repairs a damaged folder again and again, each time with other file
 * operations that fail: an image and the log make up for what is damaged, and a disk that is in the way is no damage.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { isSabineError, open, repair, type Salvage, type Verification, verify } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { arm, callsAndFaults, disarm, type Fault, folder } from "./fault-control.ts"
import { type FaultPart, HALVES, OF_DAMAGE, MENDING_WAYS as WAYS } from "./fault-ways.ts"
import { openRows, stateOf, statesOf, viewOf, wholeEntry } from "./rows.ts"

export interface MendingCounts {
  /** File operations of verifying and repairing. */
  calls: number
  /** Times that it was done with some of them failing. */
  runs: number
  /** Calls of the store that failed with a typed error. */
  typed: number
  /** Repairs for which the disk had failed to give something back, which they named. */
  named: number
  /** Other errors, entries that are missing and not named, and folders that are not whole afterwards. */
  readonly wrong: Array<string>
}

const ENTRIES = 24
/** Of the newest image: within its rows. */
const DAMAGED_AT = 2000

const { first, step, allWays } = JSON.parse(process.argv[2]!) as FaultPart
const counts: MendingCounts = { calls: 0, runs: 0, typed: 0, named: 0, wrong: [] }
const known = new Map<number, string>()
/** What is wrong when nothing fails. */
let faults: Verification["faults"] | undefined
const [left, path] = [join(folder, "left"), join(folder, "run")]

/** What a kill leaves: writes that only the log has after two images, of which the newest is damaged. */
const prepare = async (): Promise<void> => {
  const made = join(folder, "made")
  const db = await open(made, { threads: 1, snapshots: false })
  const collection = await openRows(db)
  for (let number = 0; number < ENTRIES; number++) {
    await viewOf(collection, number).add(wholeEntry(number, 1))
    known.set(number, stateOf(1, 1))
    if (number % 8 === 7 && number < ENTRIES - 1) await db.save()
  }
  cpSync(made, left, { recursive: true })
  rmSync(join(left, "lock"))
  await db.close()
  const image = readdirSync(left).find((name) => name.endsWith(".image") && !name.endsWith(".previous.image"))!
  const bytes = readFileSync(join(left, image))
  bytes[DAMAGED_AT]! ^= 0x10
  writeFileSync(join(left, image), bytes)
}

/** A call; undefined where it failed with a typed error, and a file operation had. */
const survived = async <A>(what: string, work: () => Promise<A>): Promise<A | undefined> => {
  try {
    return await work()
  } catch (error) {
    const [, faults] = callsAndFaults()
    if (isSabineError(error) && faults > 0) counts.typed++
    else counts.wrong.push(`${what}: ${error instanceof Error ? error.stack : error}`)
    return undefined
  }
}

const content = async (): Promise<Map<number, string>> => {
  await using db = await open(path, { threads: 1 })
  return await statesOf(await openRows(db))
}

interface Repaired {
  /** Whether it had failed before: it may have been done. */
  readonly isAgain: boolean
  readonly mayLose: boolean
}

/** What is missing and not named; damage that is none where the disk only refused. */
const check = async (what: string, { losses, faults }: Salvage, { mayLose, isAgain }: Repaired): Promise<void> => {
  const wrong = (text: string) => counts.wrong.push(`${what}: ${text}`)
  if (faults.length === 0 && !isAgain) wrong("found nothing wrong")
  if (losses.length > 0) counts.named++
  if (losses.length > 0 && !mayLose) wrong(`lost ${losses.map(({ reason }) => reason)}`)
  const named = new Set(losses.flatMap(({ keys }) => keys.map(({ key }) => key)))
  const isUncounted = losses.some(({ rows, keys }) => rows === undefined || rows > keys.length)
  const found = await content()
  const missing = [...known].filter(([number, state]) => found.get(number) !== state)
  const unnamed = missing.filter(([number]) => !named.has(keyOf(number)))
  if (!mayLose && missing.length > 0) wrong(`${missing.length} entries are missing`)
  else if (unnamed.length > 0 && !isUncounted) wrong(`${unnamed.length} entries are missing and not named`)
  if ((await verify(path)).faults.length > 0) wrong("is damaged still")
  const unfinished = readdirSync(path).filter((name) => /salvaged|tmp|lock/.test(name))
  if (unfinished.length > 0) wrong(`left ${unfinished}`)
}

/** Verifies and repairs with these calls failing, again where that failed; returns how many there were. */
const runOne = async (fault?: Fault): Promise<number> => {
  cpSync(left, path, { recursive: true, preserveTimestamps: true })
  const what = fault === undefined ? "no fault" : `calls ${fault.from}-${fault.to}: ${fault.code}`
  arm(fault)
  const verified = await survived(`${what}, verify`, () => verify(path))
  faults ??= verified?.faults
  const mayBeDamage = fault !== undefined && OF_DAMAGE.includes(fault.code)
  if (verified !== undefined && !mayBeDamage && !isDeepStrictEqual(verified.faults, faults)) {
    counts.wrong.push(`${what}: found ${JSON.stringify(verified.faults)}`)
  }
  // The image before is, and the disk gives back what it did not the next time.
  if (verified?.faults.some(({ reason }) => reason.includes("in no image that is whole"))) {
    counts.wrong.push(`${what}: an image that is whole was not taken for one`)
  }
  const repaired = await survived(`${what}, repair`, () => repair(path))
  const [calls] = callsAndFaults()
  arm()
  // What failed changed nothing that could not be done again.
  const again = repaired ?? (await survived(`${what}, repair again`, () => repair(path)))
  if (again !== undefined) {
    const isAgain = repaired === undefined
    // A disk that does not give back what it has is damaged.
    const mayLose = !isAgain && mayBeDamage
    await survived(`${what}, looking`, () => check(what, again, { isAgain, mayLose }))
  }
  rmSync(path, { recursive: true })
  return calls
}

arm()
await prepare()
counts.calls = await runOne()
const { typed } = counts
await runOne(HALVES)
if (counts.typed > typed) counts.wrong.push("what came in halves was refused")
for (let from = first; from <= counts.calls; from += step) {
  for (const [i, { code, lasts }] of WAYS.entries()) {
    if (!allWays && i !== from % WAYS.length) continue
    counts.runs++
    await runOne({ from, to: lasts ? Number.MAX_SAFE_INTEGER : from, code })
  }
}
disarm()
process.stdout.write(`\n${JSON.stringify(counts)}\n`)
