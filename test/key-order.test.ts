/** In which order writes of one key are done. */
import assert from "node:assert/strict"
import { mkdtempDisposable } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { open } from "../src/index.ts"

test("writes of one key are done in the order of their calls, the first of a collection too", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "sabine-order-"))
  for (const at of [":memory:", folder.path]) {
    await using db = await open(at, { threads: 1 })
    const notes = await db.collection("notes", { dimensions: 2 })
    const entry = (key: string, payload: number) => ({ key, vector: [1, payload], payload })
    const [, , removed] = await Promise.all([
      notes.add(entry("a", 1)),
      notes.add(entry("b", 1)),
      notes.delete("b"),
      notes.update({ key: "a", payload: 2 }),
      notes.namespace("other").add(entry("a", 3))
    ])
    assert.equal(removed, true)
    await assert.rejects(notes.add(entry("a", 4)), { _tag: "DuplicateKey" })
    assert.deepEqual((await notes.get("a"))?.payload, 2)
    assert.equal(await notes.get("b"), undefined)
  }
})
