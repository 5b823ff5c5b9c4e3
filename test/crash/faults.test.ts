/** Every file operation fails once: a typed error, a store that goes on, a clean opening, nothing acknowledged lost. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { buildFaultfs } from "./faultfs.ts"
import { faultRuns, fileFaults, logFaults, mendingFaults } from "./faults.ts"

/** The long form has every operation fail in every way, this one one of so many in one: a number that goes through all ways. */
const STEP = 31

test("a file operation that fails is a typed error, and nothing acknowledged is lost", async (t) => {
  const built = buildFaultfs()
  if ("reason" in built) return t.skip(built.reason)
  for (const { wrong, ...counts } of await faultRuns(built.library, { step: STEP, allWays: false })) {
    t.diagnostic(JSON.stringify(counts))
    assert.ok(counts.runs > 0 && counts.typed > 0)
    const { lost, resurrected, partial } = counts
    assert.deepEqual({ lost, resurrected, partial }, { lost: 0, resurrected: 0, partial: 0 }, wrong.join("\n"))
    assert.deepEqual(wrong, [])
  }
})

test("a damaged folder is repaired whatever fails: a disk that is in the way is no damage, and nothing is lost by it", async (t) => {
  const built = buildFaultfs()
  if ("reason" in built) return t.skip(built.reason)
  for (const { wrong, ...counts } of await mendingFaults(built.library, { step: STEP, allWays: false })) {
    t.diagnostic(JSON.stringify(counts))
    assert.ok(counts.runs > 0 && counts.typed > 0)
    assert.deepEqual(wrong, [])
  }
})

test("whatever failed while a log was opened, it is written to afterwards, and left as it is where it is of a newer version", async (t) => {
  const built = buildFaultfs()
  if ("reason" in built) return t.skip(built.reason)
  const { stuck, touched, unread, ...counts } = await logFaults(built.library)
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.refused > 0 && counts.passed > 0)
  assert.deepEqual([stuck, touched], [[], []])
  const [EACCES, EBADMSG, EUCLEAN] = [13, 74, 117]
  assert.deepEqual(unread, {
    [EACCES]: ["EACCES"],
    [EBADMSG]: ["EBADMSG", "damaged"],
    [EUCLEAN]: ["EUCLEAN", "damaged"]
  })
})

test("a link that is not allowed is a copy, damage of a file system has a name and is no refusal, and a refusal is no number", async (t) => {
  const built = buildFaultfs()
  if ("reason" in built) return t.skip(built.reason)
  const { failures, numbers } = await fileFaults(built.library)
  const [EIO, EACCES, EMFILE, EUCLEAN] = [5, 13, 24, 117]
  assert.ok(failures[EACCES]!.every(([code, isRefusal]) => code === "EACCES" && isRefusal))
  // But for the link itself, which a copy stands in for.
  assert.equal(failures[EACCES]!.length, failures[EUCLEAN]!.length - 1)
  assert.ok(failures[EUCLEAN]!.every(([code, isRefusal]) => code === "EUCLEAN" && !isRefusal))
  // A disk that does not give the number back tells nothing, and opening goes on without it.
  assert.deepEqual(new Set(numbers[EIO]), new Set([0]))
  assert.deepEqual(new Set(numbers[EMFILE]), new Set(["EMFILE"]))
})
