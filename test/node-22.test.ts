/**
 * The suite once more, on the oldest Node that Sabine supports: what runs there unbuilt. Node 22 cannot parse
 * `using`, so tests written with it are left out; of what they cover, `package.test.ts` runs only opening, adding
 * and searching there, on the built package.
 */
import assert from "node:assert/strict"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { inRepository, node22, run } from "./programs.ts"

/** What does not depend on the Node it runs on, or runs Node 22 itself. */
const APART = /^test[\\/](boundary[\\/]|property[\\/]kernels[\\/]|tidy[\\/]|node-22|package\.test|readme\.test)/

/** Whether Node 22 can parse a test file and the modules of the tests that it imports. */
const isPlain = (path: string): boolean => {
  const text = readFileSync(inRepository(path), "utf8")
  if (/^\s*(await )?using \w/m.test(text)) return false
  const imported = [...text.matchAll(/^(?:import .*|\} )from "(\.{1,2}\/[^"]+)"/gm)].map(([, specifier]) =>
    join(path, "..", specifier!)
  )
  return imported.filter((module) => module.startsWith("test")).every(isPlain)
}

test("the suite passes on Node 22", async (t) => {
  const files = globSync("test/**/*.test.ts", { cwd: inRepository("."), exclude: ["**/node_modules"] }).filter(
    (path) => !APART.test(path) && isPlain(path)
  )
  assert.ok(files.length > 0)
  const reporter = ["--test-reporter=./scripts/total-reporter.mjs", "--test-reporter-destination=stdout"]
  const failures = ["--test-reporter=spec", "--test-reporter-destination=stderr"]
  const total = await run(await node22(), ["--test", ...reporter, ...failures, ...files], inRepository("."))
  t.diagnostic(`Node 22: ${total.trim()}`)
  assert.match(total, /^[1-9]\d* passed, 0 failed/)
})
