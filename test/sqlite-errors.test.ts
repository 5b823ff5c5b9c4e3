/** What is made of errors of SQLite: damage of the file is told from a system that refuses. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, test } from "node:test"
import { isDamage, refusalOf } from "../src/core/log/sqlite-errors.ts"
import { open, repair } from "../src/index.ts"
import { failsWith } from "./failures.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-sqlite-errors-"))
after(() => rm(root, { recursive: true }))

test("refusals of the system are no damage, and have its names where it has some", () => {
  const refusals = { 3: "EPERM", 6: "EBUSY", 13: "ENOSPC", 15: "SQLITE_PROTOCOL", 22: "EFBIG", 4874: "SQLITE_IOERR" }
  for (const [errcode, name] of Object.entries(refusals)) {
    assert.equal(isDamage({ errcode: Number(errcode) }, import.meta.filename), false, errcode)
    assert.equal(refusalOf(Number(errcode), import.meta.filename), name)
  }
  // Tables that are not there, pages, lengths; what is shorter than it was, and what the disk does not give back.
  for (const errcode of [1, 11, 267, 18, 26, 522, 8202, 8458])
    assert.equal(isDamage({ errcode }, import.meta.filename), true, `${errcode}`)
})

test("a read that failed is what the system says of reading the file again", {
  skip: process.platform === "win32"
}, () => {
  // It is given back now, and a folder is not to be read.
  for (const [path, name] of [
    [import.meta.filename, "SQLITE_IOERR"],
    [root, "EISDIR"]
  ] as const) {
    assert.equal(isDamage({ errcode: 266 }, path), false)
    assert.equal(refusalOf(266, path), name)
  }
})

/** A folder with two entries, of whose log something was changed. */
const changed = async (name: string, sql: string): Promise<string> => {
  const path = join(root, name)
  {
    await using db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2 })
    for (const key of ["a", "b"]) await notes.add({ key, vector: [1, 0] })
  }
  const sqlite = new DatabaseSync(join(path, "records.sqlite"), { defensive: false })
  sqlite.exec(sql)
  sqlite.close()
  return path
}

test("a log without one of its tables is damaged, and where it is all there was that is named", async () => {
  const path = await changed("table", "DROP TABLE log")
  {
    await using db = await open(path)
    await assert.rejects(db.collection("notes"), failsWith("LogInvalid"))
  }
  const { losses } = await repair(path)
  assert.deepEqual(
    losses.map(({ collection, rows, reason }) => [collection, rows, reason]),
    [["", undefined, "nothing can be read of the log, and nothing else tells what there was"]]
  )
})

test("of a log that does not tell how far it went the rest is read", async () => {
  const without = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'sqlite_sequence'"
  const path = await changed("sequence", without)
  const { losses } = await repair(path)
  assert.deepEqual(
    losses.map(({ reason }) => reason),
    ["frames cannot be read: any after 2. What they wrote is as it was before, or missing"]
  )
  await using db = await open(path)
  assert.equal((await db.collection("notes")).size(), 2)
})
