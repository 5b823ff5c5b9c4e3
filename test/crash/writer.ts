/**
 * A process that writes, deletes, updates, snapshots and reopens at random until it is killed. It says on descriptor 3
 * what it begins, before it does, and what was acknowledged, after.
 */

import { once } from "node:events"
import { writeSync } from "node:fs"
import { open } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { randomBits } from "../property/kernels/random.ts"
import type { Event } from "./oracle.ts"
import { openRows, payloadOnly, type State, stateOf, statesOf, viewOf, wholeEntry } from "./rows.ts"

/** What the parent says when it is to start: the modules are loaded by then. */
export interface Start {
  readonly folder: string
  readonly seed: number
  readonly durability: "full" | "relaxed"
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

const say = (event: Event): void => {
  writeSync(EVENTS, `${JSON.stringify(event)}\n`)
}

let call = 0
const told = async (changes: ReadonlyArray<readonly [number, State | null]>, write: Promise<unknown>) => {
  const mine = ++call
  say({ begun: mine, changes })
  await write
  say({ acked: mine })
}
/** `told`, of a call that has not been made before it is said. */
const announced = (number: number, state: State | null, write: () => Promise<unknown>) =>
  told([[number, state]], Promise.resolve().then(write))

process.stdin.resume()
say({ acked: 0 })
const [message] = (await once(process.stdin, "data")) as [Buffer]
const { folder, seed, durability } = JSON.parse(message.toString()) as Start
const bits = randomBits(seed)
const batchEntries = seed % TRAINING_WRITERS === 0 ? [...BATCH_ENTRIES, TRAINED_ENTRIES] : BATCH_ENTRIES
let version = (seed % 2 ** 20) + 1

/** Opens the folder, writes for a while in several lanes and closes it. */
const session = async (): Promise<void> => {
  const db = await open(folder, { threads: 1, durability })
  const collection = await openRows(db)
  const states = await statesOf(collection)
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
      await db.save()
      await one(LANES * LANE_ENTRIES + 2 * (bits() % 5))
    }
  }

  const lanes = Array.from({ length: LANES }, (_, first) => lane(first))
  await Promise.all([...lanes, batches(), snapshots()])
  if (bits() % 2 === 0) await db.save()
  await db.close()
}

for (;;) await session()
