/** A process that adds items to a pool is killed again and again: what it was told is there once, whole, and counted. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { open } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { FULL, itemsOf, openPool } from "./pool-items.ts"
import { type PoolEvent, PoolOracle } from "./pool-oracle.ts"
import type { PoolStart } from "./pool-writer.ts"
import { startVictim } from "./victim.ts"

const WRITER = fileURLToPath(new URL("./pool-writer.ts", import.meta.url))
const ROUNDS = 8
/** Kills come within so many events, and so many milliseconds after. */
const EVENTS = 70
const AFTER_MS = 8

for (const isFull of [false, true]) {
  describe(`a pool that ${isFull ? "is full" : "has room"}`, () => {
    test("has after a kill what was judged and acknowledged, and none of it twice", { timeout: 180_000 }, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), "sabine-pool-crash-"))
      const bits = randomBits(isFull ? 7 : 8)
      const maxSize = isFull ? FULL : Number.POSITIVE_INFINITY
      const oracle = new PoolOracle([], maxSize)
      const counts = { rounds: 0, acked: 0, items: 0, midway: 0, lost: 0, resurrected: 0, partial: 0 }
      let next = 0
      const hearer = {
        take: (event: PoolEvent) => {
          if ("begun" in event) for (const number of event.numbers) next = Math.max(next, number + 1)
          oracle.take(event)
        }
      }
      for (; counts.rounds < ROUNDS; counts.rounds++) {
        const { order } = oracle
        const moment = { events: 1 + Math.floor(EVENTS * (bits() / 2 ** 32)), ms: bits() % AFTER_MS }
        const victim = startVictim<PoolStart, PoolEvent>({}, WRITER)
        await victim.run({ folder, seed: bits(), isFull, order, next }, hearer, moment)
        await using db = await open(folder, { threads: 1 })
        const pool = await openPool(db, maxSize)
        const known = oracle.order
        const found = await itemsOf(db, pool)
        const losses = oracle.settle(found)
        if (found.at(-1) !== known.at(-1)) counts.midway++
        for (const kind of ["lost", "resurrected", "partial"] as const) counts[kind] += losses[kind]
        counts.items += found.length
      }
      counts.acked = oracle.acked
      t.diagnostic(JSON.stringify(counts))
      assert.ok(counts.acked > ROUNDS && counts.items > ROUNDS)
      const { lost, resurrected, partial } = counts
      assert.deepEqual({ lost, resurrected, partial }, { lost: 0, resurrected: 0, partial: 0 })
      await rm(folder, { recursive: true })
    })
  })
}
