/**
 * A process under `native/faultfs` that runs scripts again and again, each time with other file operations that fail, and
 * says at its end what came of it.
 */
import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Collection, type Database, isSabineError, open } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { arm, callsAndFaults, disarm, type Fault, folder } from "./fault-control.ts"
import { EIO, type FaultPart, HALVES, WAYS } from "./fault-ways.ts"
import { Oracle } from "./oracle.ts"
import { checkFound, openRows, payloadOnly, type State, stateOf, statesOf, viewOf, wholeEntry } from "./rows.ts"

const BATCH = 8
/** Times the folder is opened: as often as a fault may be in the way, and once more. */
const OPEN_TRIES = 3

export interface FaultCounts {
  /** File operations of the scripts. */
  calls: number
  /** Scripts that were run with some of them failing. */
  runs: number
  /** Calls of the store that failed with a typed error. */
  typed: number
  lost: number
  resurrected: number
  partial: number
  /** Other errors, errors without a fault, and stores that did not go on. */
  readonly wrong: Array<string>
}

const { first, step, allWays } = JSON.parse(process.argv[2]!) as FaultPart

const counts: FaultCounts = { calls: 0, runs: 0, typed: 0, lost: 0, resurrected: 0, partial: 0, wrong: [] }

/** A database, and its collection, which is opened anew after each replacement. */
interface Opened {
  readonly db: Database
  collection: Collection
}

/** One run of a script: what is known of its folder, and what its calls came to. */
class Run {
  readonly name: string
  readonly path: string
  readonly oracle = new Oracle()
  /** SQLite takes a page that the disk cannot read for damage. */
  readonly #tags: ReadonlyArray<string>
  #call = 0

  constructor(name: string, path: string, known: ReadonlyMap<number, string> = new Map(), code = 0) {
    this.name = name
    this.path = path
    this.#tags = code === EIO ? ["StorageFailure", "LogInvalid"] : ["StorageFailure"]
    this.oracle.take({ begun: 0, changes: [...known] })
    this.oracle.take({ acked: 0 })
  }

  /** Whether a call succeeded; a failure is typed, and file operations failed meanwhile. */
  async survives(what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      const [, now] = callsAndFaults()
      const isTyped = isSabineError(error) && this.#tags.includes(error._tag)
      if (isTyped && now > 0) counts.typed++
      else counts.wrong.push(`${this.name}, ${what}: ${error instanceof Error ? error.stack : error}`)
      // From here on the disk is well again, and the store must be.
      arm()
      return false
    }
  }

  async write(changes: ReadonlyArray<readonly [number, State | null]>, work: () => Promise<unknown>): Promise<void> {
    const mine = ++this.#call
    this.oracle.take({ begun: mine, changes })
    if (await this.survives(`write ${mine}`, work)) this.oracle.take({ acked: mine })
  }

  /** Opens the folder and finds in it what was acknowledged. */
  async open(): Promise<Opened | undefined> {
    for (let tries = 0; tries < OPEN_TRIES; tries++) {
      let opened: Opened | undefined
      await this.survives("open", async () => {
        const db = await open(this.path, { threads: 1 })
        try {
          opened = { db, collection: await openRows(db) }
        } catch (error) {
          await db.close()
          throw error
        }
      })
      if (opened === undefined) continue
      await this.check(opened.collection)
      return opened
    }
    counts.wrong.push(`${this.name}: does not open again`)
    return undefined
  }

  /** Opens the collection again, in the database that was opened; throws when that cannot be done. */
  async reopenRows(opened: Opened): Promise<void> {
    for (let tries = 0; tries < OPEN_TRIES; tries++) {
      const reopen = async () => {
        opened.collection = await openRows(opened.db)
      }
      if (await this.survives("opening the collection", reopen)) return
    }
    throw new Error(`${this.name}: the collection does not open again: ${counts.wrong.join()}`)
  }

  async check(collection: Collection): Promise<void> {
    await this.survives("reading", async () => {
      const states = await statesOf(collection)
      await checkFound(collection, states)
      const { examples, ...losses } = this.oracle.settle(states)
      for (const kind of ["lost", "resurrected", "partial"] as const) counts[kind] += losses[kind]
      counts.wrong.push(...examples.map((text) => `${this.name}: ${text}`))
    })
  }
}

const set = (number: number, version: number) => [[number, stateOf(version, version)]] as const

/** Writes of every kind with saves between them; versions are those from `version` on. */
const writes = async (run: Run, { db, collection }: Opened, version: number): Promise<void> => {
  const has = (number: number) => viewOf(collection, number).has(keyOf(number))
  const put = async (number: number, next: number) => {
    const view = viewOf(collection, number)
    const entry = wholeEntry(number, next)
    const isThere = await has(number)
    await run.write(set(number, next), () => (isThere ? view.update(entry) : view.add(entry)))
  }
  await put(0, version)
  await put(1, version + 1)
  await run.survives("save", () => db.save())
  await put(0, version + 2)
  const batch = Array.from({ length: BATCH }, (_, i) => 2 * (version * BATCH + i + 1))
  const next = version + 3
  await run.write(
    batch.map((number) => [number, stateOf(next, next)] as const),
    () => collection.addMany(batch.map((number) => wholeEntry(number, next)))
  )
  await run.survives("save", () => db.save())
  if (await has(1)) await run.write([[1, null]], () => viewOf(collection, 1).delete(keyOf(1)))
  const patched = batch[0]!
  if (await has(patched)) {
    const changed = payloadOnly(patched, next, version + 4)
    await run.write([[patched, stateOf(next, version + 4)]], () => collection.update(changed))
  }
  await run.survives("save", () => db.save())
  await put(3, version + 5)
}

/** Goes to other states of the whole database: a checkpoint, an archive and back, with compaction between them. */
const journeys = async (run: Run, opened: Opened, version: number): Promise<void> => {
  const { db } = opened
  const archive = `${run.path}.archive`
  const put = async (number: number, next: number) => {
    const view = viewOf(opened.collection, number)
    const isThere = await view.has(keyOf(number))
    const entry = wholeEntry(number, next)
    await run.write(set(number, next), () => (isThere ? view.update(entry) : view.add(entry)))
  }
  /** All entries become those of `wanted`, or all stay. */
  const replace = async (wanted: ReadonlyMap<number, string>, work: () => Promise<unknown>) => {
    const states = await statesOf(opened.collection)
    const numbers = [...new Set([...states.keys(), ...wanted.keys()])]
    const changed = numbers.filter((number) => states.get(number) !== wanted.get(number))
    await run.write(
      changed.map((number) => [number, wanted.get(number) ?? null] as const),
      work
    )
    await run.reopenRows(opened)
    await run.check(opened.collection)
  }
  const kept = await statesOf(opened.collection)
  const isKept = await run.survives("checkpoint", () => db.checkpoint("kept"))
  await put(0, version)
  await put(5, version + 1)
  await run.survives("compact", () => db.compact())
  const exported = await statesOf(opened.collection)
  const isExported = await run.survives("export", () => db.export(archive))
  await put(7, version + 2)
  if (isKept) await replace(kept, () => db.restore("kept"))
  await put(9, version + 3)
  if (isExported) await replace(exported, () => db.import(archive))
  await put(11, version + 4)
  await run.survives("listing", () => db.listCheckpoints())
  if (isKept) await run.survives("deleting a checkpoint", () => db.deleteCheckpoint("kept"))
}

/** The folders that scripts start in: none, one that was killed and one that was closed, and what these hold. */
const STARTS = ["new", "killed", "closed"] as const
const startOf = (start: (typeof STARTS)[number]): string => join(folder, start)
let known: ReadonlyMap<number, string> = new Map()

const prepare = async (): Promise<void> => {
  const path = startOf("closed")
  const db = await open(path, { threads: 1 })
  const collection = await openRows(db)
  await writes(new Run("preparation", path), { db, collection }, 1)
  known = await statesOf(collection)
  cpSync(path, startOf("killed"), { recursive: true })
  rmSync(join(startOf("killed"), "lock"))
  await db.close()
}

/** One script with these calls failing; returns how many there were. */
const runOne = async ({ start, work }: Script, fault?: Fault): Promise<number> => {
  const path = join(folder, "run")
  if (start !== "new") cpSync(startOf(start), path, { recursive: true, preserveTimestamps: true })
  const what = `${start}, ${work.name}`
  const name = fault === undefined ? `${what}, no fault` : `${what}, calls ${fault.from}-${fault.to}: ${fault.code}`
  const run = new Run(name, path, start === "new" ? undefined : known, fault?.code)
  arm(fault)
  const opened = await run.open()
  if (opened !== undefined) {
    await work(run, opened, 100)
    await run.survives("close", () => opened.db.close())
  }
  const [calls] = callsAndFaults()
  arm()
  const again = await run.open()
  await run.survives("closing again", async () => again?.db.close())
  rmSync(path, { recursive: true })
  rmSync(`${path}.archive`, { force: true })
  return calls
}

interface Script {
  readonly start: (typeof STARTS)[number]
  readonly work: (run: Run, opened: Opened, version: number) => Promise<void>
}
const SCRIPTS: ReadonlyArray<Script> = [
  ...STARTS.map((start) => ({ start, work: writes })),
  { start: "closed", work: journeys }
]

arm()
await prepare()
for (const [s, script] of SCRIPTS.entries()) {
  const calls = await runOne(script)
  counts.calls += calls
  const typed = counts.typed
  await runOne(script, HALVES)
  if (counts.typed > typed) counts.wrong.push(`${script.start}, ${script.work.name}: what came in halves was refused`)
  for (let from = first; from <= calls; from += step) {
    for (const [i, { code, lasts }] of WAYS.entries()) {
      if (!allWays && i !== (from + s) % WAYS.length) continue
      counts.runs++
      await runOne(script, { from, to: lasts ? Number.MAX_SAFE_INTEGER : from, code })
    }
  }
}
disarm()
process.stdout.write(`\n${JSON.stringify(counts)}\n`)
