/**
 * A process that writes, deletes, updates, snapshots, compacts, restores, exports, imports and reopens at random until it
 * is killed. It says on descriptor 3 what it begins, before it does, and what was acknowledged, after.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { open } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { randomBits } from "../property/kernels/random.ts"
import type { Event, Kept } from "./oracle.ts"
import { openRows, payloadOnly, type State, stateOf, statesOf, viewOf, wholeEntry } from "./rows.ts"

/** What the parent says when it is to start: the modules are loaded by then. */
export interface Start {
  readonly folder: string
  readonly seed: number
  readonly durability: "full" | "relaxed"
  /** Checkpoints that must be there, and what they hold. */
  readonly checkpoints: ReadonlyArray<readonly [name: string, states: Kept["states"]]>
}

const EVENTS = 3
const LANES = 6
/** Entries that a lane writes one by one. */
const LANE_ENTRIES = 40
/** Numbers of the entries that come and go in batches begin here. */
const BATCH_FROM = 1000
const BATCH_ENTRIES = [3, 12, 40, 200]
/** One writer in so many adds batches that codes are trained on. */
const TRAINING_WRITERS = 8
const TRAINED_ENTRIES = 2300
/** Checkpoints that are kept, and one session in so many that makes one, or goes back to one. */
const CHECKPOINTS = 2
const CHECKPOINT_SESSIONS = 4
/** Entries that are written between an export and the import of it, and one save in so many that is a compaction. */
const TRAVEL_WRITES = 5
const COMPACTIONS = 3

const say = (event: Event): void => {
  writeSync(EVENTS, `${JSON.stringify(event)}\n`)
}

let call = 0
const told = async (
  changes: ReadonlyArray<readonly [number, State | null]>,
  write: Promise<unknown>,
  isRestore = false
) => {
  const mine = ++call
  say({ begun: mine, changes, isRestore })
  await write
  say({ acked: mine })
}
/** `told`, of a call that has not been made before it is said. */
const announced = (number: number, state: State | null, write: () => Promise<unknown>) =>
  told([[number, state]], Promise.resolve().then(write))

const lines = createInterface({ input: process.stdin })
say({ acked: 0 })
const [message] = (await once(lines, "line")) as [string]
const { folder, seed, durability, checkpoints } = JSON.parse(message) as Start
/** Those that this process or one before it made; others may be half made, and are no promise. */
const known = new Map(checkpoints)
const bits = randomBits(seed)
const batchEntries = seed % TRAINING_WRITERS === 0 ? [...BATCH_ENTRIES, TRAINED_ENTRIES] : BATCH_ENTRIES
let version = (seed % 2 ** 20) + 1

/** Opens the folder, writes for a while in several lanes and closes it. */
const session = async (): Promise<void> => {
  const db = await open(folder, { threads: 1, durability })
  let collection = await openRows(db)
  const states = await statesOf(collection)

  const checkpoint = async (): Promise<void> => {
    const there = (await db.listCheckpoints()).map(({ name }) => name)
    for (const [i, name] of there.entries()) {
      if (known.has(name) && i >= there.length - CHECKPOINTS) continue
      known.delete(name)
      say({ dropped: name })
      await db.deleteCheckpoint(name)
    }
    const name = `c${++version}`
    await db.checkpoint(name)
    known.set(name, [...states])
    say({ kept: name, states: [...states] })
  }

  /** All entries become those of `entries`, whatever process is killed meanwhile. */
  const replace = async (entries: Kept["states"], work: () => Promise<unknown>, what: string): Promise<void> => {
    const wanted = new Map(entries)
    const numbers = [...new Set([...states.keys(), ...wanted.keys()])]
    const changed = numbers.filter((number) => states.get(number) !== wanted.get(number))
    const changes = changed.map((number) => [number, wanted.get(number) ?? null] as const)
    await told(changes, Promise.resolve().then(work), true)
    collection = await openRows(db)
    states.clear()
    for (const [number, state] of await statesOf(collection)) states.set(number, state)
    assert.deepEqual([...states].sort(), [...wanted].sort(), `${what} holds something else`)
  }

  /** Goes back to a checkpoint: it has what it had, also when processes were killed since. */
  const restore = async (): Promise<void> => {
    const [name, entries] = [...known][bits() % known.size]!
    await replace(entries, () => db.restore(name), `checkpoint ${name}`)
  }

  /** Writes an archive, goes on, and goes back to it. */
  const travel = async (): Promise<void> => {
    const archive = `${folder}.archive`
    const exported = [...states]
    await db.export(archive)
    for (let i = 0; i < TRAVEL_WRITES; i++) await one(LANES * (bits() % LANE_ENTRIES))
    await replace(exported, () => db.import(archive), "an archive")
  }

  const rounds = 5 + (bits() % 200)

  const one = async (number: number): Promise<void> => {
    const view = viewOf(collection, number)
    const [vector, payload] = (states.get(number) ?? "").split(".").map(Number)
    const next = ++version
    const whole = stateOf(next, next)
    const set = (state: string | undefined) => (state === undefined ? states.delete(number) : states.set(number, state))
    if (payload === undefined) {
      await announced(number, whole, () => view.add(wholeEntry(number, next)))
      set(whole)
    } else if (bits() % 3 === 0) {
      await announced(number, null, () => view.delete(keyOf(number)))
      set(undefined)
    } else if (bits() % 2 === 0) {
      await announced(number, whole, () => view.update(wholeEntry(number, next)))
      set(whole)
    } else {
      const changed = stateOf(vector!, next)
      await announced(number, changed, () => view.update(payloadOnly(number, vector!, next)))
      set(changed)
    }
  }

  // What is flushed when the system pleases may lose checkpoints as well.
  const chance = durability === "full" ? bits() % CHECKPOINT_SESSIONS : CHECKPOINT_SESSIONS
  if (chance === 0) await checkpoint()
  else if (chance === 1 && known.size > 0) await restore()
  else if (chance === 2) await travel()
  const lane = async (first: number): Promise<void> => {
    for (let i = 0; i < rounds; i++) await one(first + LANES * (bits() % LANE_ENTRIES))
  }

  /** Batches of one parity, all in the view of it, that are added as a whole and deleted one by one at once. */
  const batches = async (): Promise<void> => {
    for (let i = 0; i < rounds / 20; i++) {
      const parity = bits() % 2
      const count = batchEntries[bits() % batchEntries.length]!
      const all = Array.from({ length: count }, (_, j) => BATCH_FROM + 2 * j + parity)
      const present = all.filter((number) => states.has(number))
      const view = viewOf(collection, parity)
      await Promise.all(present.map((number) => announced(number, null, () => view.delete(keyOf(number)))))
      const next = ++version
      const changes = all.map((number) => [number, stateOf(next, next)] as const)
      const entries = all.map((number) => wholeEntry(number, next))
      await told(
        changes,
        Promise.resolve().then(() => view.addMany(entries))
      )
      for (const number of present) states.delete(number)
      for (const [number, state] of changes) states.set(number, state)
    }
  }

  const snapshots = async (): Promise<void> => {
    for (let i = 0; i < rounds / 40; i++) {
      await (bits() % COMPACTIONS === 0 ? db.compact() : db.save())
      await one(LANES * LANE_ENTRIES + 2 * (bits() % 5))
    }
  }

  const lanes = Array.from({ length: LANES }, (_, first) => lane(first))
  await Promise.all([...lanes, batches(), snapshots()])
  if (bits() % 2 === 0) await db.save()
  await db.close()
}

for (;;) await session()
