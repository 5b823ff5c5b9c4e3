/** Damaged files: the right answers or a typed error, never others, and no crash. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { corruptionCases } from "./corruption.ts"

const CASES = 500

test("damaged images and logs give right answers or typed errors", async (t) => {
  t.mock.method(console, "log", () => undefined)
  const { examples, ...counts } = await corruptionCases({ cases: CASES, seed: 1 })
  t.diagnostic(JSON.stringify(counts))
  assert.equal(counts.wrong, 0, examples.join("\n"))
  assert.ok(counts.right > 0 && Object.keys(counts.typed).length > 0)
})
