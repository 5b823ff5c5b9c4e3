/** The suite once more, on the oldest Node that Sabine supports. */
import assert from "node:assert/strict"
import { globSync } from "node:fs"
import { test } from "node:test"
import { inRepository, node22, run } from "./programs.ts"

/** What does not depend on the Node it runs on, or runs Node 22 itself. */
const APART = /^test[\\/](tidy[\\/]|node-22|package\.test)/

test("the suite passes on Node 22", async (t) => {
  const files = globSync("test/**/*.test.ts", { cwd: inRepository("."), exclude: ["**/node_modules"] }).filter(
    (path) => !APART.test(path)
  )
  assert.ok(files.length > 0)
  const reporter = ["--test-reporter=./scripts/total-reporter.mjs", "--test-reporter-destination=stdout"]
  const failures = ["--test-reporter=spec", "--test-reporter-destination=stderr"]
  const total = await run(await node22(), ["--test", ...reporter, ...failures, ...files], inRepository("."))
  t.diagnostic(`Node 22: ${total.trim()}`)
  assert.match(total, /^[1-9]\d* passed, 0 failed/)
})
