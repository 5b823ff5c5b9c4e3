/** Folders of every released version open, with the answers that the version gave. */
import assert from "node:assert/strict"
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { open } from "../../src/index.ts"
import { inRepository } from "../programs.ts"
import { answersOf } from "./contents.ts"

const HERE = inRepository("test/format")
const versions = (await readdir(HERE, { withFileTypes: true })).filter((entry) => entry.isDirectory())

test("there is a folder of a released version", () => assert.ok(versions.length > 0))

for (const { name: version } of versions) {
  test(`a folder of version ${version} opens, answers as it did and goes on`, async () => {
    const path = await mkdtemp(join(tmpdir(), "sabine-format-"))
    try {
      await cp(join(HERE, version, "data"), path, { recursive: true })
      const expected = JSON.parse(await readFile(join(HERE, version, "answers.json"), "utf8"))
      const db = await open(path, { threads: 1 })
      assert.deepEqual(await answersOf(db), expected)
      const notes = await db.collection("notes")
      await notes.add({ key: "new", vector: [1, 2] })
      await notes.delete("new")
      await db.save()
      await db.close()
      // Images and log are of this version now.
      await using again = await open(path, { threads: 1 })
      assert.deepEqual(await answersOf(again), expected)
    } finally {
      await rm(path, { recursive: true })
    }
  })
}
