/** What a folder keeps of what was acknowledged: the log, the two images, and what is said when neither has it. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { cp, mkdtemp, open as openFile, readFile, rm, unlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import * as fc from "fast-check"
import { crc32c } from "../src/core/kernels/crc32c.ts"
import { type Collection, type Database, LogInvalid, open, verify } from "../src/index.ts"
import { program } from "./programs.ts"

const folders: Array<string> = []
const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-durability-"))
  folders.push(made)
  return made
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))))

const OPTIONS = { dimensions: 2, fields: { lang: "tag", year: "number", draft: "boolean" } } as const
/** A copy of a folder as a kill would leave it: without the lock and without anything that closing does. */
const killed = async (path: string): Promise<string> => {
  const copy = await folder()
  await cp(path, copy, { recursive: true })
  await unlink(join(copy, "lock"))
  return copy
}

const flip = async (path: string, at: number): Promise<void> => {
  const file = await openFile(path, "r+")
  const byte = new Uint8Array(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 0x10
  await file.write(byte, 0, 1, at)
  await file.close()
}

/** Everything that can be read of a collection, by key. */
const contents = async (collection: Pick<Collection, "entries">): Promise<Record<string, unknown>> => {
  const found: Record<string, unknown> = {}
  for await (const { key, ...entry } of collection.entries()) found[key] = entry
  return found
}

const withDatabase = async <A>(path: string, use: (db: Database) => Promise<A>): Promise<A> => {
  await using db = await open(path)
  return await use(db)
}

/** Says of the table `log` that it was made by other words, and returns those that it was made by. */
const declare = (file: string, words: string): string => {
  const sqlite = new DatabaseSync(file, { defensive: false })
  const before = sqlite.prepare("SELECT sql FROM sqlite_schema WHERE name = 'log'").get()?.["sql"]
  sqlite.exec("PRAGMA writable_schema = ON")
  sqlite.prepare("UPDATE sqlite_schema SET sql = ? WHERE name = 'log'").run(words)
  sqlite.close()
  return String(before)
}

test("every kind of write is there after a kill, unsaved", async () => {
  const path = await folder()
  await using db = await open(path)
  const notes = await db.collection("notes", OPTIONS)
  await notes.add({ key: "a", vector: [1, 0], payload: { text: "ä" }, fields: { lang: "en", year: 1.5, draft: false } })
  await notes.addMany([
    { key: "b", vector: [0, 1], payload: new Uint8Array([0, 255]) },
    { key: "c", vector: [1, 1] },
    { key: "d", vector: [1, 2] }
  ])
  await notes.update({ key: "b", payload: { changed: true } })
  await notes.update({ key: "c", fields: { draft: true, lang: "de" } })
  await notes.update({ key: "d", vector: [-1, 0] })
  await notes.namespace("acme").add({ key: "a", vector: [0, -1] })
  assert.equal(await notes.delete("a"), true)
  const expected = await contents(notes)
  const expectedOfAcme = await contents(notes.namespace("acme"))
  await withDatabase(await killed(path), async (after) => {
    const again = await after.collection("notes", OPTIONS)
    assert.deepEqual(await contents(again), expected)
    assert.deepEqual(await contents(again.namespace("acme")), expectedOfAcme)
    assert.deepEqual((await again.search([-1, 0], { k: 1 }))[0]?.key, "d")
  })
})

test("any run of writes and saves is what a map says, after a kill at any point of it", async () => {
  const key = fc.constantFrom("a", "b", "c", "d")
  const number = fc.integer({ min: 1, max: 9 })
  const command = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), key, number }),
    fc.record({ kind: fc.constant("many" as const), key, number }),
    fc.record({ kind: fc.constant("replace" as const), key, number }),
    fc.record({ kind: fc.constant("payload" as const), key, number }),
    fc.record({ kind: fc.constant("vector" as const), key, number }),
    fc.record({ kind: fc.constant("fields" as const), key, number }),
    fc.record({ kind: fc.constant("delete" as const), key, number }),
    fc.record({ kind: fc.constant("save" as const), key, number })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 24 }), fc.nat(), async (commands, at) => {
      const path = await folder()
      await using db = await open(path, { durability: "relaxed" })
      const notes = await db.collection("notes", OPTIONS)
      let expected: Record<string, unknown> = {}
      let copy: string | undefined
      const stop = at % (commands.length + 1)
      for (const [i, { kind, key, number }] of commands.entries()) {
        if (i === stop) {
          expected = await contents(notes)
          copy = await killed(path)
        }
        const taken = (await notes.get(key)) !== undefined
        const entry = { key, vector: [number, 1], payload: number, fields: { year: number } }
        if (kind === "save") await db.save()
        else if (kind === "delete") await notes.delete(key)
        else if (kind === "add" && !taken) await notes.add(entry)
        else if (kind === "many" && !taken) await notes.addMany([entry])
        else if (kind === "replace")
          await notes.addMany(
            [
              { key: "b", vector: [1, 1] },
              { ...entry, key: `${key}!` }
            ],
            { replace: true }
          )
        else if (kind === "payload" && taken) await notes.update({ key, payload: { number } })
        else if (kind === "vector" && taken) await notes.update({ key, vector: [1, number] })
        else if (kind === "fields" && taken) await notes.update({ key, fields: { lang: `${number}`, year: null } })
      }
      if (copy === undefined) {
        expected = await contents(notes)
        copy = await killed(path)
      }
      await withDatabase(copy, async (after) => {
        assert.deepEqual(await contents(await after.collection("notes")), expected)
        await after.save()
        await after.save()
      })
      await withDatabase(copy, async (again) =>
        assert.deepEqual(await contents(await again.collection("notes")), expected)
      )
    }),
    { numRuns: 40 }
  )
})

describe("images", () => {
  /** A folder with two images and writes after each. */
  const twice = async (): Promise<{ path: string; expected: Record<string, unknown> }> => {
    const path = await folder()
    await using db = await open(path)
    const notes = await db.collection("notes", OPTIONS)
    await notes.add({ key: "a", vector: [1, 0], payload: 1 })
    await db.save()
    await notes.add({ key: "b", vector: [0, 1], payload: 2 })
    await db.save()
    await notes.update({ key: "a", payload: 3 })
    return { path, expected: await contents(notes) }
  }

  for (const [what, damage] of [
    ["damaged", (path: string) => flip(path, 700)],
    ["without a header", (path: string) => flip(path, 3)],
    ["missing", (path: string) => unlink(path)]
  ] as const) {
    test(`a newest image that is ${what} costs nothing, and the next one is whole again`, async () => {
      const { path, expected } = await twice()
      await damage(join(path, "notes.image"))
      await withDatabase(path, async (db) => {
        assert.deepEqual(await contents(await db.collection("notes")), expected)
        await db.save()
      })
      await unlink(join(path, "notes.previous.image"))
      await withDatabase(path, async (db) => assert.deepEqual(await contents(await db.collection("notes")), expected))
    })
  }

  test("both gone, when the log no longer reaches back: said, not passed over", async () => {
    const { path } = await twice()
    await unlink(join(path, "notes.image"))
    await unlink(join(path, "notes.previous.image"))
    await withDatabase(path, (db) => assert.rejects(db.collection("notes"), LogInvalid))
  })

  test("without the log there may be writes that are lost: said, not passed over", async () => {
    const { path } = await twice()
    await unlink(join(path, "records.sqlite"))
    await assert.rejects(open(path), (error) => error instanceof LogInvalid && /salvage/.test(error.reason))
    assert.equal(existsSync(join(path, "lock")), false)
  })
})

describe("the log", () => {
  test("a frame that was changed or taken away is noticed", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => {
      const notes = await db.collection("notes", OPTIONS)
      for (const key of ["a", "b", "c"]) await notes.add({ key, vector: [1, 0] })
    })
    for (const damage of [
      "UPDATE log SET frame = zeroblob(length(frame)) WHERE number = 2",
      "DELETE FROM log WHERE number = 2",
      "UPDATE log SET number = 9 WHERE number = 2",
      "UPDATE collections SET shape = replace(shape, 'cosine', 'dot')"
    ]) {
      const copy = await folder()
      await cp(path, copy, { recursive: true })
      const sqlite = new DatabaseSync(join(copy, "records.sqlite"))
      sqlite.exec(damage)
      sqlite.close()
      await withDatabase(copy, (db) => assert.rejects(db.collection("notes"), LogInvalid, damage))
    }
  })

  test("a row that damage made something else of than a frame and its checksum is noticed", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => {
      await (await db.collection("notes", OPTIONS)).add({ key: "a", vector: [1, 0] })
    })
    for (const damage of ["frame = NULL", "frame = 'text'", "frame = 7", "crc = NULL", "crc = 9007199254740993"]) {
      const copy = await folder()
      await cp(path, copy, { recursive: true })
      const file = join(copy, "records.sqlite")
      const declared = declare(
        file,
        "CREATE TABLE log(number INTEGER PRIMARY KEY AUTOINCREMENT, collection, crc, frame)"
      )
      const sqlite = new DatabaseSync(file)
      assert.equal(sqlite.prepare(`UPDATE log SET ${damage}`).run().changes, 1)
      sqlite.close()
      declare(file, declared)
      await withDatabase(copy, (db) => assert.rejects(db.collection("notes"), LogInvalid, damage))
    }
  })

  test("of somebody whom the lock does not show, as from another container, is busy, and had once that has ended", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => void (await db.collection("notes", OPTIONS)))
    const other = new DatabaseSync(join(path, "records.sqlite"))
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
    await withDatabase(path, async (db) => {
      const notes = await db.collection("notes")
      const refused = await notes.add({ key: "a", vector: [1, 0] }).catch((error) => error)
      assert.deepEqual([refused._tag, refused.code, notes.size()], ["StorageFailure", "EBUSY", 0])
      other.close()
      await notes.add({ key: "a", vector: [1, 0] })
      assert.equal(notes.size(), 1)
    })
  })

  test("that somebody else wrote since the folder was opened takes no number twice, and no image of those who did not see it", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => {
      const notes = await db.collection("notes", OPTIONS)
      await notes.add({ key: "a", vector: [1, 0] })
      await db.save()
    })
    const db = await open(path)
    const notes = await db.collection("notes")
    await unlink(join(path, "lock"))
    await program(`
      import { open } from SABINE
      const db = await open(${JSON.stringify(path)})
      const notes = await db.collection("notes")
      for (const key of ["b", "c"]) {
        await notes.add({ key, vector: [0, 1] })
        for (let i = 0; i < 3; i++) await db.save()
      }
      await db.close()
    `)
    for (let i = 0; i < 2; i++) await assert.rejects(db.save(), LogInvalid)
    await assert.rejects(notes.add({ key: "d", vector: [1, 1] }), LogInvalid)
    assert.equal(notes.size(), 1)
    await db.close()
    await withDatabase(path, async (after) => assert.equal((await after.collection("notes")).size(), 3))
  })

  test("a newer version, or something else than a log, is refused", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => void (await db.collection("notes", OPTIONS)))
    const sqlite = new DatabaseSync(join(path, "records.sqlite"))
    sqlite.exec("PRAGMA user_version = 99")
    sqlite.close()
    await withDatabase(path, (db) => assert.rejects(db.collection("notes"), LogInvalid))
    await flip(join(path, "records.sqlite"), 2)
    await withDatabase(path, (db) => assert.rejects(db.collection("notes"), LogInvalid))
  })

  test("holds what no image has, and no more than the older lacks", async () => {
    const path = await folder()
    await withDatabase(path, async (db) => {
      const notes = await db.collection("notes", OPTIONS)
      for (let i = 0; i < 5; i++) {
        await notes.add({ key: `${i}`, vector: [1, i] })
        await db.save()
      }
    })
    const sqlite = new DatabaseSync(join(path, "records.sqlite"))
    assert.deepEqual(
      sqlite
        .prepare("SELECT number FROM log")
        .all()
        .map(({ number }) => number),
      [5]
    )
    assert.equal(sqlite.prepare("SELECT count(*) AS n FROM entries").get()?.["n"], 4)
    sqlite.close()
  })
})

test("writers of one key take turns, those of many share a flush", async () => {
  const path = await folder()
  await using db = await open(path)
  const notes = await db.collection("notes", OPTIONS)
  const adds = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => notes.add({ key: "a", vector: [1, i] })))
  assert.equal(adds.filter(({ status }) => status === "fulfilled").length, 1)
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
  await Promise.all(keys.map((key, i) => notes.add({ key, vector: [1, i] })))
  await Promise.all(keys.flatMap((key) => [notes.update({ key, payload: 1 }), notes.update({ key, payload: 2 })]))
  await Promise.all([...keys.map((key) => notes.delete(key)), db.save()])
  assert.equal(notes.size(), 1)
})

describe("an image that is written while others write", () => {
  test("is of one moment: it opens without its log's newer frames, and with them is what was acknowledged", async () => {
    const path = await folder()
    const dimensions = 64
    // Long enough that records take a while to be copied, and that one which is freed too early is used again.
    const text = "payload ".repeat(250)
    const vectorOf = (i: number) =>
      Float32Array.from({ length: dimensions }, (_, j) => Math.sin(0.7311 * (i + 1) * (j + 1)))
    await using db = await open(path, { durability: "relaxed" })
    const notes = await db.collection("notes", { dimensions, fields: { lang: "tag" }, index: "ivf" })
    const many = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => ({
        key: `${from + i}`,
        vector: vectorOf(from + i),
        payload: { i: from + i, text },
        fields: { lang: `l${(from + i) % 7}` }
      }))
    await notes.addMany(many(0, 6000))
    for (let round = 0; round < 4; round++) {
      let isSaving = true
      const saving = db.save().finally(() => (isSaving = false))
      for (let i = 0; isSaving; i++) {
        const key = `${round * 1000 + (i % 1000)}`
        await notes.delete(key)
        await notes.add({ key: `new ${round} ${i}`, vector: vectorOf(i), payload: text, fields: { lang: `new ${i}` } })
        await notes.update({
          key: `${5000 + (i % 999)}`,
          payload: { round, i, text },
          fields: { lang: `of ${round} ${i}` }
        })
      }
      await saving
      const expected = await contents(notes)
      const copy = await killed(path)
      // Nothing else may stand in for it.
      await rm(join(copy, "notes.previous.image"), { force: true })
      await withDatabase(copy, async (after) => {
        const again = await after.collection("notes", { index: "ivf" })
        assert.deepEqual(await contents(again), expected)
        for (const i of [4500, 5998]) {
          const [hit] = await again.search(vectorOf(i), { k: 1, mode: "exact" })
          assert.deepEqual([hit?.key, hit?.payload], [`${i}`, (expected[`${i}`] as { payload: unknown }).payload])
        }
      })
    }
  })

  test("is written in the background once the log has grown", async () => {
    const path = await folder()
    await using db = await open(path, { durability: "relaxed", snapshots: { bytes: 1 << 20 } })
    const notes = await db.collection("notes", { dimensions: 256 })
    const image = join(path, "notes.image")
    for (let i = 0; i < 20 && !existsSync(image); i++) {
      const keys = Array.from({ length: 256 }, (_, j) => `${i} ${j}`)
      await notes.addMany({ keys, vectors: Float32Array.from({ length: 256 * 256 }, (_, j) => Math.sin(j + i)) })
      await setTimeout(50)
    }
    assert.ok(existsSync(image))
  })

  test("is written in the background with the first write after a time", async () => {
    const path = await folder()
    await using db = await open(path, { snapshots: { ms: 1000 } })
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "before", vector: [1, 0] })
    await setTimeout(1000)
    await notes.add({ key: "after", vector: [0, 1] })
    const image = join(path, "notes.image")
    for (let tries = 0; tries < 400 && !existsSync(image); tries++) await setTimeout(25)
    assert.ok(existsSync(image))
  })
})

test("a codebook that was trained on a sample is there after a kill, and so is what was written with it", async () => {
  const path = await folder()
  const options = { dimensions: 16, precision: "none", codes: { pq: { m: 8 } } } as const
  const vectors = Float32Array.from({ length: 300 * 16 }, (_, i) => Math.sin(i * i))
  await using db = await open(path)
  const notes = await db.collection("notes", options)
  await notes.train(vectors)
  await notes.add({ key: "a", vector: vectors.subarray(0, 16) })
  await notes.addMany([
    { key: "b", vector: vectors.subarray(16, 32), payload: "x".repeat(1 << 24) },
    { key: "c", vector: vectors.subarray(32, 48), payload: "y" }
  ])
  const query = vectors.subarray(20, 36)
  const expected = await notes.search(query, { k: 3 })
  assert.equal(expected.length, 3)
  await withDatabase(await killed(path), async (after) => {
    assert.deepEqual(await (await after.collection("notes", options)).search(query, { k: 3 }), expected)
  })
})

for (const durability of ["full", "relaxed"] as const) {
  test(`a write-ahead log that ends before what was acknowledged (${durability}) is noticed, and salvaging says what is lost`, {
    skip: durability === "relaxed" && process.platform !== "linux" && "starts of the machine have no names"
  }, async () => {
    const path = await folder()
    await using db = await open(path, { durability })
    const notes = await db.collection("notes", OPTIONS)
    await notes.add({ key: "a", vector: [1, 0] })
    await db.save()
    await notes.add({ key: "b", vector: [0, 1] })
    const before = await readFile(join(path, "records.sqlite-wal"))
    await notes.add({ key: "c", vector: [1, 1] })
    const cut = async () => {
      const copy = await killed(path)
      await writeFile(join(copy, "records.sqlite-wal"), before)
      return copy
    }
    const copy = await cut()
    await withDatabase(copy, (after) => assert.rejects(after.collection("notes"), LogInvalid))
    assert.match((await verify(copy)).faults.map(({ reason }) => reason).join(), /newest frame/)
    await using salvaged = await open(copy, { salvage: true })
    const left = await salvaged.collection("notes")
    assert.deepEqual([await left.has("a"), await left.has("b"), await left.has("c")], [true, true, false])
    assert.match(salvaged.losses.map(({ reason }) => reason).join(), /3 to 3/)
    await left.add({ key: "d", vector: [1, 2] })
    // Nothing but that file tells: SQLite takes it for a loss of power.
    const untold = await cut()
    await rm(join(untold, "records.sqlite.flushed"))
    await withDatabase(untold, async (after) => assert.equal((await after.collection("notes")).size(), 2))
    // After another start of the machine that is what a loss of power may take, where nothing was flushed.
    const restarted = await cut()
    const flushed = join(restarted, "records.sqlite.flushed")
    const bytes = await readFile(flushed)
    const isOfAnyStart = bytes.readUInt32LE(8) === 0
    assert.equal(isOfAnyStart, durability === "full")
    if (!isOfAnyStart) bytes.writeUInt32LE((bytes.readUInt32LE(8) ^ 2) >>> 0, 8)
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, 12)), 12)
    await writeFile(flushed, bytes)
    await withDatabase(restarted, async (after) => {
      const opening = after.collection("notes")
      if (isOfAnyStart) await assert.rejects(opening, LogInvalid)
      else assert.equal((await opening).size(), 2)
    })
  })
}

test("a log whose numbers go back with a checkpoint misses nothing afterwards", async () => {
  const path = await folder()
  await using db = await open(path)
  const notes = await db.collection("notes", OPTIONS)
  await notes.add({ key: "a", vector: [1, 0] })
  await db.checkpoint("early")
  for (let i = 0; i < 5; i++) await notes.add({ key: `b${i}`, vector: [i, 1] })
  await db.restore("early")
  await withDatabase(await killed(path), async (after) => assert.equal((await after.collection("notes")).size(), 1))
})

test("what was closed in order is marked so until it is written to, and the mark is of that file alone", async () => {
  const path = await folder()
  const mark = join(path, "records.sqlite.clean")
  await withDatabase(path, async (db) => {
    await (await db.collection("notes", OPTIONS)).add({ key: "a", vector: [1, 0] })
    await db.save()
  })
  await using db = await open(path)
  const notes = await db.collection("notes")
  assert.equal(notes.size(), 1)
  assert.ok(existsSync(mark), "reading needs no log")
  await notes.add({ key: "b", vector: [0, 1] })
  assert.equal(existsSync(mark), false)
  const copy = await killed(path)
  await cp(path, join(copy, "old"), { recursive: true })
  await withDatabase(copy, async (after) => assert.equal((await after.collection("notes")).size(), 2))
  // A log that is put in place of the marked one, with a frame more.
  const sqlite = new DatabaseSync(join(copy, "records.sqlite"))
  sqlite.exec("UPDATE log SET frame = zeroblob(4)")
  sqlite.close()
  await withDatabase(copy, (after) => assert.rejects(after.collection("notes"), LogInvalid))
})
