/** Writers lose what they did not flush: what they were told is done had been flushed. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { buildFaultfs } from "./faultfs.ts"
import { powerRounds } from "./power.ts"

const ROUNDS = 12
/** Enough that some acknowledged write was not flushed, where nothing waits for that. */
const RELAXED_ROUNDS = 5

test("what was acknowledged is there after a loss of power", async (t) => {
  const built = buildFaultfs()
  if ("reason" in built) return t.skip(built.reason)
  const { examples, ...counts } = await powerRounds({ ...built, rounds: ROUNDS, seed: 3 })
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.acked > ROUNDS && counts.taken > 0)
  const { lost, resurrected, partial } = counts
  assert.deepEqual({ lost, resurrected, partial }, { lost: 0, resurrected: 0, partial: 0 }, examples.join("\n"))

  const relaxed = await powerRounds({ ...built, rounds: RELAXED_ROUNDS, seed: 5, durability: "relaxed" })
  t.diagnostic(`relaxed: ${JSON.stringify({ ...relaxed, examples: undefined })}`)
  assert.ok(relaxed.lost > 0, "a loss of power takes nothing: the rounds above prove nothing")
})
