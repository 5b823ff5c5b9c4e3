/** No argument brings the process down: every export is called with hostile ones, in a process of its own. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { fallback, kernels } from "../../src/core/native.ts"
import { inRepository, run } from "../programs.ts"
import { assertNone, filesIn, read } from "../tidy/repository.ts"
import { CALLS, exportedFunctions } from "./calls.ts"

const skip = fallback ?? false
const CASES = 50_000

test("every function that the addon exports has a call here, and every call a function", { skip }, () => {
  assert.deepEqual(exportedFunctions(kernels).toSorted(), Object.keys(CALLS).toSorted())
})

test("every function that Rust exports is one of them, and turns a panic into an error", () => {
  const attributes = filesIn(["native"], [".rs"]).flatMap((path) => [
    ...read(path).matchAll(/#\[(?:napi_derive::)?napi(?:\(([^\]]*)\))?\]\s*(?:pub )?fn /g)
  ])
  // Searches have two: one that locates columns, and one that searches them.
  assert.equal(attributes.length, Object.keys(CALLS).length + 1)
  assertNone(attributes.filter(([, options]) => !/\bcatch_unwind\b/.test(options ?? "")).map(([text]) => text))
})

test(`${CASES} hostile cases end with a value or a named refusal`, { skip }, async (t) => {
  const args = [inRepository("test/boundary/fuzz.ts"), "--cases", String(CASES)]
  const lines = (await run(process.execPath, args, inRepository("."))).trim().split("\n")
  for (const line of lines) t.diagnostic(line)
  const [cases = 0, returned = 0, refused = 0] = (lines.at(-1)?.match(/\d+/g) ?? []).map(Number)
  assert.ok(cases >= CASES)
  assert.equal(returned + refused, cases)
  // Mutations that leave all calls alone, or none, would show nothing.
  for (const count of [returned, refused]) assert.ok(count > cases / 4, lines.at(-1))
  assert.equal(lines.length, Object.keys(CALLS).length + 1)
})
