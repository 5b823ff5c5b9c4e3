/** Opening a folder whose log goes on beyond its newest image. */
import assert from "node:assert/strict"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { open } from "../src/index.ts"
import { turnsOf } from "./turns.ts"

const ENTRIES = 4096

test("entries that the log has anew are taken out and put in again in turns of the event loop", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-replay-"))
  t.after(() => rm(folder, { recursive: true }))
  const [whole, cut] = [join(folder, "whole"), join(folder, "cut")]
  {
    await using db = await open(whole)
    const notes = await db.collection("notes", { dimensions: 2 })
    const entries = (year: number) =>
      Array.from({ length: ENTRIES }, (_, i) => ({ key: `${i}`, vector: [year, i], payload: year }))
    await notes.addMany(entries(1))
    await db.save()
    await notes.addMany(entries(2), { replace: true })
    // As it is after a crash.
    await cp(whole, cut, { recursive: true })
  }
  await rm(join(cut, "lock"), { force: true })
  await using db = await open(cut)
  let size = 0
  const turns = await turnsOf(async () => {
    const notes = await db.collection("notes", { dimensions: 2 })
    size = notes.size()
  })
  assert.equal(size, ENTRIES)
  assert.deepEqual((await (await db.collection("notes")).get("7"))?.payload, 2)
  // Writing them takes one for four.
  assert.ok(turns > ENTRIES / 3, `${turns} turns`)
})
