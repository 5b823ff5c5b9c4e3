/** A process that writes is killed again and again: what it was told is done is there, whole, and nothing else. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { killRounds, totalled } from "./kill-rounds.ts"

const ROUNDS = 50

test("what was acknowledged before a kill is there after it, whole, and what was deleted is not", async (t) => {
  const counts = totalled(
    await Promise.all([killRounds({ rounds: ROUNDS / 2, seed: 1 }), killRounds({ rounds: ROUNDS / 2, seed: 2 })])
  )
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.acked > ROUNDS && counts.entries > ROUNDS && counts.images > 0)
  assert.deepEqual(
    { lost: counts.lost, resurrected: counts.resurrected, partial: counts.partial },
    { lost: 0, resurrected: 0, partial: 0 },
    counts.examples.join("\n")
  )
})
