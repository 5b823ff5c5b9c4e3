/** Feedback: utilities from outcomes, what they say of classes, and what that changes. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { BiasProfile } from "../../src/recall.ts"
import { vectorsOf, withPool } from "./pools.ts"

const close = (got: number | undefined, wanted: number) =>
  assert.ok(Math.abs(got! - wanted) < 1e-9, `${got}, not ${wanted}`)

const [query, other] = vectorsOf(40, 2)

describe("feedback", () => {
  test("makes the utility of an item the mean of its outcomes, each minus the change of the loss, kept to -1..1", async () => {
    await withPool({}, async (pool) => {
      await pool.add({ key: "a", embedding: query!, utility: 0.9 })
      await pool.feedback([{ key: "a", deltaLoss: -0.5 }])
      close((await pool.get("a"))?.utility, 0.5)
      await pool.feedback([
        { key: "a", deltaLoss: 7 },
        { key: "a", deltaLoss: -0.2 }
      ])
      close((await pool.get("a"))?.utility, (0.5 - 1 + 0.2) / 3)
      assert.equal((await pool.get("a"))?.outcomes, 3)
      await assert.rejects(pool.feedback([{ key: "b", deltaLoss: 1 }]), { _tag: "KeyNotFound" })
      await assert.rejects(pool.feedback([{ key: "a", deltaLoss: Number.NaN }]), { _tag: "InvalidParameter" })
      assert.equal((await pool.get("a"))?.outcomes, 3)
    })
  })

  test("on items of a class biases the others of it, in proportion to how much was seen, and is kept as JSON", async () => {
    const text = await withPool({ biasStrength: 0.5 }, async (pool) => {
      await pool.addMany([
        { key: "seen", embedding: query!, class: "good" },
        { key: "unseen", embedding: query!, class: "good", utility: 0.1 },
        { key: "plain", embedding: query!, utility: 0.2 }
      ])
      assert.equal((await pool.byUtility({ k: 1 }))[0]?.key, "plain")
      await pool.feedback(Array.from({ length: 5 }, () => ({ key: "seen", deltaLoss: -1 })))
      const [first, second] = await pool.byUtility({ k: 2 })
      // Half of the strength of a mean outcome of 1, halved for having been seen as often as the prior.
      assert.deepEqual([first?.key, second?.key], ["seen", "unseen"])
      close(first?.score, 1)
      close(second?.score, 0.1 + 0.25)
      close(second?.explanation.bias, 0.25)
      const [best] = await pool.hybrid(query!, { k: 1, decay: 0, weights: { similarity: 0, utility: 1, class: 0 } })
      assert.equal(best?.key, "seen")
      return JSON.stringify(pool.biasProfile())
    })
    assert.deepEqual(JSON.parse(text), { version: 1, classes: { good: { outcomes: 5, utility: 1 } } })
    await withPool({ biasStrength: 1 }, async (pool) => {
      await pool.addMany([
        { key: "good", embedding: query!, class: "good" },
        { key: "other", embedding: other! }
      ])
      await pool.useBias(JSON.parse(text) as BiasProfile)
      close((await pool.byUtility({ k: 1 }))[0]?.score, 0.5)
      const wrong = [
        { version: 2, classes: {} },
        { version: 1, classes: { a: { outcomes: -1, utility: 0 } } },
        { version: 1 }
      ]
      for (const profile of [...wrong, { version: 1, classes: { a: { outcomes: 1, utility: 3 } } }]) {
        await assert.rejects(async () => pool.useBias(profile as BiasProfile), { _tag: "InvalidParameter" })
      }
      assert.deepEqual(pool.biasProfile(), JSON.parse(text))
    })
  })
})
