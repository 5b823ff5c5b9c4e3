/** Checkpoints: what they hold, what becomes of them, and what is said of those that are not there or damaged. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { cp, mkdir, mkdtemp, open as openFile, readFile, rm, stat, unlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import { isDeepStrictEqual } from "node:util"
import * as fc from "fast-check"
import {
  CheckpointNotFound,
  type Collection,
  CollectionReplaced,
  type Database,
  type Entry,
  ImageInvalid,
  InvalidParameter,
  open,
  StorageFailure
} from "../src/index.ts"
import { copiesAtEachStep } from "./steps.ts"

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

  await db.restore("first")
  assert.deepEqual(await contents(await db.collection("notes")), expected)
  assert.deepEqual(Object.keys(await contents(await db.collection("closed"))), ["unsaved"])
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

/** A copy of a folder as a kill would leave it. */
const killed = async (path: string): Promise<string> => {
  const copy = await folder()
  await cp(path, copy, { recursive: true })
  await unlink(join(copy, "lock"))
  return copy
}

const withDatabase = async <A>(path: string, use: (db: Database) => Promise<A>): Promise<A> => {
  await using db = await open(path)
  return await use(db)
}

/** Everything that can be read of a folder. */
const stateOf = (path: string): Promise<Record<string, unknown>> =>
  withDatabase(path, async (db) => {
    const found: Record<string, unknown> = {}
    for (const name of await db.collections()) found[name] = await contents(await db.collection(name))
    return found
  })

test("any run of writes, saves, checkpoints, restores and kills is what a map says", async () => {
  const key = fc.constantFrom("a", "b", "c")
  const kind = fc.constantFrom("put", "put", "delete", "save", "checkpoint", "restore", "kill")
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ kind, key, number: fc.nat({ max: 9 }) }), { maxLength: 24 }),
      async (commands) => {
        let path = await folder()
        let db = await open(path, { durability: "relaxed" })
        let notes = await db.collection("notes", OPTIONS)
        let expected = new Map<string, number>()
        const checkpoints: Array<typeof expected> = []
        for (const { kind, key, number } of commands) {
          if (kind === "put") {
            if (expected.has(key)) await notes.update({ key, payload: number, vector: [number, 1] })
            else await notes.add({ key, payload: number, vector: [number, 1] })
            expected.set(key, number)
          } else if (kind === "delete") assert.equal(await notes.delete(key), expected.delete(key))
          else if (kind === "save") await db.save()
          else if (kind === "checkpoint") {
            await db.checkpoint(`c${checkpoints.length}`)
            checkpoints.push(new Map(expected))
          } else if (kind === "restore" && checkpoints.length > 0) {
            const chosen = number % checkpoints.length
            await db.restore(`c${chosen}`)
            expected = new Map(checkpoints[chosen])
            notes = await db.collection("notes")
          } else if (kind === "kill") {
            const copy = await killed(path)
            await db.close()
            path = copy
            db = await open(path, { durability: "relaxed" })
            notes = await db.collection("notes")
          }
          const found = await contents(notes)
          const payloads = Object.entries(found).map(([key, entry]) => [key, (entry as Entry).payload] as const)
          assert.deepEqual(new Map(payloads), expected)
        }
        await db.close()
      }
    ),
    { numRuns: 25 }
  )
})

describe("a restore", () => {
  /** A folder with a checkpoint, and another collection and other entries since. */
  const changed = async () => {
    const path = await folder()
    const db = await open(path)
    const notes = await db.collection("notes", OPTIONS)
    await notes.add({ key: "a", vector: [1, 0], payload: 1 })
    const more = await db.collection("more", OPTIONS)
    await more.add({ key: "m", vector: [1, 0], payload: 1 })
    await db.checkpoint("first")
    await notes.update({ key: "a", payload: 2 })
    await more.delete("m")
    await db.save()
    await notes.add({ key: "b", vector: [0, 1] })
    await (await db.collection("later", OPTIONS)).add({ key: "l", vector: [0, 1] })
    await db.save()
    return { path, db, notes }
  }

  const isChanged = async (path: string): Promise<void> => {
    await using db = await open(path)
    assert.deepEqual(await db.collections(), ["later", "more", "notes"])
    assert.deepEqual(Object.keys(await contents(await db.collection("notes"))), ["a", "b"])
    assert.deepEqual((await (await db.collection("notes")).get("a"))?.payload, 2)
    assert.deepEqual(Object.keys(await contents(await db.collection("more"))), [])
    assert.deepEqual(Object.keys(await contents(await db.collection("later"))), ["l"])
  }

  const isBack = async (path: string): Promise<void> => {
    for (let i = 0; i < 2; i++) {
      await using db = await open(path)
      assert.deepEqual(await db.collections(), ["more", "notes"])
      assert.deepEqual((await (await db.collection("notes")).get("a"))?.payload, 1)
      assert.deepEqual(Object.keys(await contents(await db.collection("notes"))), ["a"])
      assert.deepEqual(Object.keys(await contents(await db.collection("more"))), ["m"])
      assert.equal(existsSync(join(path, "later.image")), false)
    }
  }

  test("takes all collections back, and what was opened before says so", async () => {
    const { path, db, notes } = await changed()
    const acme = notes.namespace("acme")
    await db.restore("first")
    await assert.rejects(notes.get("a"), CollectionReplaced)
    await assert.rejects(notes.add({ key: "x", vector: [1, 1] }), CollectionReplaced)
    await assert.rejects(acme.add({ key: "x", vector: [1, 1] }), CollectionReplaced)
    await assert.rejects(notes.search([1, 0]), CollectionReplaced)
    assert.throws(() => notes.size(), CollectionReplaced)
    await db.close()
    await isBack(path)
  })

  test("leaves all or nothing when the process is killed, at every step", async () => {
    const { path, db } = await changed()
    const before = await stateOf(await killed(path))
    const copies = await copiesAtEachStep(path, await folder(), () => db.restore("first"))
    await db.close()
    await isBack(path)
    const after = await stateOf(path)
    const ends: Array<boolean> = []
    for (const copy of copies) {
      const state = await stateOf(copy)
      ends.push(isDeepStrictEqual(state, after))
      assert.deepEqual(state, ends.at(-1) ? after : before)
    }
    // What the first steps leave is the old state, and from one step on it is the new one.
    const first = ends.indexOf(true)
    assert.ok(first > 0 && first < ends.length - 5, `${ends}`)
    assert.ok(!ends.slice(first).includes(false), `${ends}`)
  })

  test("that cannot put an image in place is finished later, also after a closing in order", async () => {
    const { path, db } = await changed()
    const obstacle = join(path, "notes.image.tmp", "x")
    await mkdir(obstacle, { recursive: true })
    await assert.rejects(db.restore("first"), StorageFailure)
    await assert.rejects(db.collection("notes"), StorageFailure)
    await db.close()
    await rm(join(obstacle, ".."), { recursive: true })
    await isBack(path)
  })

  test("leaves two images that are damaged one by one", async () => {
    const { path, db } = await changed()
    await db.restore("first")
    await db.close()
    for (const damaged of ["notes.image", "more.previous.image"]) {
      const file = await openFile(join(path, damaged), "r+")
      await file.write(new Uint8Array(64), 0, 64, 700)
      await file.close()
    }
    await isBack(path)
  })

  test("finds a log of the version before", async () => {
    const { path, db } = await changed()
    await db.close()
    const sqlite = new DatabaseSync(join(path, "records.sqlite"))
    sqlite.exec("DROP TABLE restoring; PRAGMA user_version = 1")
    sqlite.close()
    await isChanged(path)
    await withDatabase(path, (after) => after.restore("first"))
    await isBack(path)
  })

  test("of an image that is damaged, or of no checkpoint, changes nothing", async () => {
    const { path, db, notes } = await changed()
    await assert.rejects(db.restore("none"), CheckpointNotFound)
    await assert.rejects(db.restore("../first"), InvalidParameter)
    const image = join(path, "checkpoints", "first", "notes.image")
    const bytes = await readFile(image)
    bytes[700]! ^= 1
    await unlink(image)
    await writeFile(image, bytes)
    await assert.rejects(db.restore("first"), ImageInvalid)
    assert.deepEqual((await notes.get("a"))?.payload, 2)
    assert.deepEqual(await db.collections(), ["later", "more", "notes"])
    await db.close()
  })

  test("waits for writes that are under way, and refuses those that come after it", async () => {
    const { path, db, notes } = await changed()
    const writes = Array.from({ length: 50 }, (_, i) => notes.add({ key: `${i}`, vector: [1, i] }))
    const [, saved, ...ends] = await Promise.allSettled([db.restore("first"), db.save(), ...writes])
    assert.equal(saved.status, "fulfilled")
    for (const end of ends) if (end.status === "rejected") assert.ok(end.reason instanceof CollectionReplaced)
    await db.close()
    await isBack(path)
  })
})
