/** Checkpoints: what they hold, what becomes of them, and what is said of those that are not there or damaged. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, unlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { CheckpointNotFound, type Collection, ImageInvalid, InvalidParameter, open } from "../src/index.ts"

const folders: Array<string> = []
const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-checkpoints-"))
  folders.push(made)
  return made
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))))

const OPTIONS = { dimensions: 2 } as const

/** Everything that can be read of a collection, by key. */
const contents = async (collection: Collection): Promise<Record<string, unknown>> => {
  const found: Record<string, unknown> = {}
  for await (const { key, ...entry } of collection.entries()) found[key] = entry
  return found
}

test("a checkpoint has the images of its moment, whatever is written and saved afterwards", async () => {
  const path = await folder()
  {
    await using db = await open(path)
    const closed = await db.collection("closed", OPTIONS)
    await closed.add({ key: "unsaved", vector: [1, 1] })
  }
  await using db = await open(path)
  const notes = await db.collection("notes", OPTIONS)
  await notes.add({ key: "a", vector: [1, 0], payload: 1 })
  const expected = await contents(notes)
  const made = await db.checkpoint("first")
  assert.deepEqual(made.collections, ["closed", "notes"])
  await notes.update({ key: "a", payload: 2 })
  await notes.add({ key: "b", vector: [0, 1] })
  const second = await db.checkpoint("second")
  await db.save()
  await db.save()
  assert.deepEqual(await db.listCheckpoints(), [made, second])
  const image = await stat(join(path, "checkpoints", "first", "notes.image"))
  assert.equal(image.size + (await stat(join(path, "checkpoints", "first", "closed.image"))).size, made.bytes)

  // The images alone, opened in a folder whose log has none of their frames.
  const copy = await folder()
  await open(copy).then((empty) => empty.close())
  await using empty = await open(copy)
  await empty.collections()
  for (const name of made.collections) {
    await copyFile(join(path, "checkpoints", "first", `${name}.image`), join(copy, `${name}.image`))
  }
  assert.deepEqual(await contents(await empty.collection("notes")), expected)
  assert.deepEqual(Object.keys(await contents(await empty.collection("closed"))), ["unsaved"])
})

test("a checkpoint is taken away by name, and a name is used once", async () => {
  await using db = await open(await folder())
  assert.deepEqual(await db.listCheckpoints(), [])
  await db.checkpoint("a")
  await assert.rejects(db.checkpoint("a"), InvalidParameter)
  await db.deleteCheckpoint("a")
  await assert.rejects(db.deleteCheckpoint("a"), CheckpointNotFound)
  assert.deepEqual(await db.listCheckpoints(), [])
  await db.checkpoint("a")
  assert.equal((await db.listCheckpoints()).length, 1)
})

test("names that leave the folder, and databases in memory, are refused", async () => {
  await using db = await open(await folder())
  for (const name of ["..", "a/b", "", "x".repeat(65)]) {
    await assert.rejects(db.checkpoint(name), InvalidParameter)
    await assert.rejects(db.deleteCheckpoint(name), InvalidParameter)
  }
  await using memory = await open(":memory:")
  await assert.rejects(memory.checkpoint("a"), InvalidParameter)
  await assert.rejects(memory.listCheckpoints(), InvalidParameter)
})

test("what a crash left without a manifest is no checkpoint, and in nobody's way", async () => {
  const path = await folder()
  await using db = await open(path)
  await (await db.collection("notes", OPTIONS)).add({ key: "a", vector: [1, 0] })
  const left = join(path, "checkpoints", "a")
  await mkdir(left, { recursive: true })
  await writeFile(join(left, "other.image"), "half")
  assert.deepEqual(await db.listCheckpoints(), [])
  await db.checkpoint("a")
  assert.equal(existsSync(join(left, "other.image")), false)
  await unlink(join(left, "manifest"))
  assert.deepEqual(await db.listCheckpoints(), [])
})

test("every changed byte of a manifest is noticed, and the checkpoint can still be taken away", async () => {
  const path = await folder()
  await using db = await open(path)
  await db.checkpoint("a")
  const manifest = join(path, "checkpoints", "a", "manifest")
  const whole = await readFile(manifest)
  for (let at = 0; at < whole.length; at++) {
    const damaged = Uint8Array.from(whole)
    damaged[at]! ^= 1
    await writeFile(manifest, damaged)
    await assert.rejects(db.listCheckpoints(), ImageInvalid)
  }
  await db.deleteCheckpoint("a")
  assert.deepEqual(await db.listCheckpoints(), [])
})

test("a checkpoint is whole while others write and save", async () => {
  await using db = await open(await folder(), { durability: "relaxed" })
  const notes = await db.collection("notes", OPTIONS)
  await notes.add({ key: "a", vector: [1, 0] })
  await Promise.all([
    ...Array.from({ length: 6 }, (_, i) => db.checkpoint(`c${i}`)),
    ...Array.from({ length: 6 }, () => db.save()),
    ...Array.from({ length: 50 }, (_, i) => notes.add({ key: `${i}`, vector: [1, i] }))
  ])
  assert.equal((await db.listCheckpoints()).length, 6)
})
