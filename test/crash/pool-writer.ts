/**
 * A process that adds items to a pool, judged one by one, judged in batches or all at once, removes some, saves and opens
 * again until it is killed. It says on descriptor 3 what it begins, before it does, and what was acknowledged, after.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { open } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { randomBits } from "../property/kernels/random.ts"
import { FULL, itemOf, openPool } from "./pool-items.ts"
import { isCoherent, type PoolCall, type PoolEvent, PoolOracle } from "./pool-oracle.ts"

/** What the parent says when it is to start: the modules are loaded by then. */
export interface PoolStart {
  readonly folder: string
  readonly seed: number
  /** Whether others give way to what is added. */
  readonly isFull: boolean
  /** Items that are there, the oldest first. */
  readonly order: ReadonlyArray<number>
  /** No item had this number or a larger one. */
  readonly next: number
}

const EVENTS = 3
const MOST_AT_ONCE = 20
/** Calls before the folder is closed and opened again. */
const CALLS = 60

const write = (event: PoolEvent): void => {
  writeSync(EVENTS, `${JSON.stringify(event)}\n`)
}

const lines = createInterface({ input: process.stdin })
write({ acked: 0 })
const [message] = (await once(lines, "line")) as [string]
const { folder, seed, isFull, order, next } = JSON.parse(message) as PoolStart
const maxSize = isFull ? FULL : Number.POSITIVE_INFINITY
const oracle = new PoolOracle(order, maxSize)
const bits = randomBits(seed)
let last = next
let calls = 0

const say = (event: PoolEvent): void => {
  oracle.take(event)
  write(event)
}

const told = async (call: PoolCall, numbers: ReadonlyArray<number>, work: () => Promise<void>): Promise<void> => {
  const begun = ++calls
  say({ begun, call, numbers })
  await work()
  say({ acked: begun })
}

const session = async (): Promise<void> => {
  const db = await open(folder, { threads: 1 })
  const pool = await openPool(db, maxSize)
  let saving: Promise<void> = Promise.resolve()
  for (let i = 0; i < CALLS; i++) {
    const kind = bits() % 8
    if (kind === 0 && oracle.order.length > 0) {
      const number = oracle.order[bits() % oracle.order.length]!
      await told("removed", [number], async () => assert.ok(await pool.remove(keyOf(number))))
      continue
    }
    const numbers = Array.from({ length: kind < 4 ? 1 : 1 + (bits() % MOST_AT_ONCE) }, () => last++)
    const items = numbers.map(itemOf)
    if (kind === 7) {
      await told("all", numbers, async () => void (await pool.addMany(items)))
      saving = saving.then(() => db.save())
      continue
    }
    await told("judged", numbers, async () => {
      const verdicts = kind < 4 ? [await pool.addIfCoherent(items[0]!)] : await pool.addManyIfCoherent(items)
      assert.deepEqual(
        verdicts.map(({ isAdded }) => isAdded),
        numbers.map(isCoherent)
      )
    })
  }
  await saving
  await db.close()
}

for (;;) await session()
