/** Archives: what comes back of them, and what is refused. */
import assert from "node:assert/strict"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { isDeepStrictEqual } from "node:util"
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { packTar, unpackTar } from "modern-tar"
import { encodeManifest } from "../src/core/checkpoint/manifest.ts"
import { kernels } from "../src/core/native.ts"
import { Database as DatabaseService } from "../src/effect.ts"
import {
  Cancelled,
  CheckpointNotFound,
  type Collection,
  CollectionReplaced,
  type Database,
  ImportInvalid,
  InvalidParameter,
  open,
  StorageFailure
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { copiesAtEachStep } from "./steps.ts"

const folders: Array<string> = []
const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-archive-"))
  folders.push(made)
  return made
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))))

const OPTIONS = { dimensions: 2, fields: { year: "number" } } as const

const contents = async (collection: Collection): Promise<Record<string, unknown>> => {
  const found: Record<string, unknown> = {}
  for await (const { key, ...entry } of collection.entries()) found[key] = entry
  return found
}

/** Everything that can be read of a database. */
const stateOf = async (db: Database): Promise<Record<string, unknown>> => {
  const found: Record<string, unknown> = {}
  for (const name of await db.collections()) found[name] = await contents(await db.collection(name))
  return found
}

const stateIn = async (path: string): Promise<Record<string, unknown>> => {
  await using db = await open(path)
  return await stateOf(db)
}

/** A database with two collections. */
const filled = async (path: string): Promise<Database> => {
  const db = await open(path)
  const notes = await db.collection("notes", OPTIONS)
  await notes.addMany(
    Array.from({ length: 500 }, (_, i) => ({ key: `${i}`, vector: [i, 1], payload: { i }, fields: { year: i } }))
  )
  await notes.delete("7")
  await (await db.collection("more", { dimensions: 3 })).add({ key: "m", vector: [1, 0, 0] })
  return db
}

for (const format of ["zstd", "gzip"] as const) {
  test(`what is exported as ${format} is there after it is imported elsewhere, and goes on from there`, async () => {
    await using db = await filled(await folder())
    const archive = join(await folder(), "database.tar")
    const [exported, imported]: [Array<number>, Array<number>] = [[], []]
    const made = await db.export(archive, { format, onProgress: (done, total) => exported.push(done / total) })
    assert.deepEqual(made.collections, ["more", "notes"])
    assert.ok((await stat(archive)).size < made.bytes)
    const tar = format === "gzip" ? gunzipSync(readFileSync(archive)) : zstdDecompressSync(readFileSync(archive))
    assert.deepEqual(
      (await unpackTar(tar, { strict: true })).map(({ header }) => header.name),
      ["manifest", "more.image", "notes.image"]
    )

    const path = await folder()
    {
      await using other = await open(path)
      assert.deepEqual(await other.import(archive, { onProgress: (done, total) => imported.push(done / total) }), made)
      assert.deepEqual(await stateOf(other), await stateOf(db))
      await (await other.collection("notes")).add({ key: "new", vector: [1, 1] })
    }
    const { notes, more } = (await stateIn(path)) as Record<string, Record<string, unknown>>
    assert.deepEqual(Object.keys(notes!).length, 500)
    assert.ok("new" in notes! && "m" in more!)
    assert.equal(existsSync(join(path, "transfer")) && readdirSync(join(path, "transfer")).length > 0, false)
    for (const fractions of [exported, imported]) {
      assert.equal(fractions.at(-1), 1)
      assert.deepEqual(
        fractions,
        fractions.toSorted((a, b) => a - b)
      )
    }
  })
}

test("a checkpoint is exported as it was, and what is imported over is gone", async () => {
  const path = await folder()
  await using db = await filled(path)
  const before = await stateOf(db)
  const { time } = await db.checkpoint("first")
  const notes = await db.collection("notes")
  await notes.delete("8")
  await db.collection("later", OPTIONS)
  const archive = join(await folder(), "first.tar.zst")
  assert.equal((await db.export(archive, { checkpoint: "first" })).time, time)
  await assert.rejects(db.export(archive, { checkpoint: "none" }), CheckpointNotFound)
  await db.import(archive)
  await assert.rejects(notes.get("1"), CollectionReplaced)
  assert.deepEqual(await stateOf(db), before)
  // Checkpoints are of the folder and stay.
  assert.deepEqual(
    (await db.listCheckpoints()).map(({ name }) => name),
    ["first"]
  )
})

test("an empty database, from the other door", async () => {
  const archive = join(await folder(), "empty.tar.gz")
  const [path, into] = [await folder(), await folder()]
  const exporting = Effect.gen(function* () {
    const db = yield* DatabaseService
    return yield* db.export(archive, { format: "gzip" })
  }).pipe(Effect.provide(DatabaseService.layer(path)))
  assert.deepEqual((await Effect.runPromise(exporting)).collections, [])
  await using db = await filled(into)
  await db.import(archive)
  assert.deepEqual(await db.collections(), [])
})

test("collections are written and archives made at the same time", async () => {
  await using db = await filled(await folder())
  const notes = await db.collection("notes")
  const to = await folder()
  await Promise.all([
    ...Array.from({ length: 4 }, (_, i) => db.export(join(to, `${i}`))),
    ...Array.from({ length: 40 }, (_, i) => notes.add({ key: `new${i}`, vector: [1, i] }))
  ])
  await using other = await open(await folder())
  for (let i = 0; i < 4; i++) {
    await other.import(join(to, `${i}`))
    assert.ok((await (await other.collection("notes")).get("499")) !== undefined)
  }
})

test("arguments that are wrong are named, and files that are not there", async () => {
  const path = await folder()
  await using db = await filled(path)
  const archive = join(await folder(), "a")
  for (const inside of [path, join(path, "records.sqlite"), join(path, "x", "..", "a")]) {
    await assert.rejects(db.export(inside), failsWith("InvalidParameter", "path"))
  }
  await assert.rejects(db.export(archive, { format: "zip" as "gzip" }), failsWith("InvalidParameter", "format"))
  await assert.rejects(db.export(archive, { checkpoint: "../x" }), failsWith("InvalidParameter", "name"))
  await assert.rejects(db.export(""), failsWith("InvalidParameter", "path"))
  await assert.rejects(db.import(archive, { maxBytes: 0.5 }), failsWith("InvalidParameter", "maxBytes"))
  await assert.rejects(db.import(archive, null as unknown as object), failsWith("InvalidParameter", "options"))
  await assert.rejects(db.import(archive), StorageFailure)
  await assert.rejects(db.export(join(archive, "none", "a")), StorageFailure)
  await using memory = await open(":memory:")
  await assert.rejects(memory.export(archive), InvalidParameter)
  await assert.rejects(memory.import(archive), InvalidParameter)
})

test("an export that is given up leaves nothing, and the archive that was there", async () => {
  const path = await folder()
  await using db = await filled(path)
  const to = await folder()
  const archive = join(to, "a")
  writeFileSync(archive, "before")
  const controller = new AbortController()
  const stopped = db.export(archive, { signal: controller.signal, onProgress: () => controller.abort() })
  await assert.rejects(stopped, Cancelled)
  assert.equal(readFileSync(archive, "utf8"), "before")
  assert.deepEqual(readdirSync(to), ["a"])
  assert.deepEqual(readdirSync(join(path, "transfer")), [])
})

test("an import leaves all or nothing when the process is killed, at every step", async () => {
  await using source = await filled(await folder())
  const archive = join(await folder(), "a")
  await source.export(archive)
  const path = await folder()
  const db = await open(path)
  await (await db.collection("notes", OPTIONS)).add({ key: "old", vector: [1, 1] })
  await db.save()
  const before = await stateOf(db)
  const copies = await copiesAtEachStep(path, await folder(), () => db.import(archive))
  await db.close()
  const after = await stateOf(source)
  const ends: Array<boolean> = []
  for (const copy of copies) {
    const state = await stateIn(copy)
    ends.push(isDeepStrictEqual(state, after))
    assert.deepEqual(state, ends.at(-1) ? after : before)
    assert.equal(existsSync(join(copy, "transfer")), false)
  }
  const first = ends.indexOf(true)
  assert.ok(first > 0 && first < ends.length - 5, `${ends}`)
  assert.ok(!ends.slice(first).includes(false), `${ends}`)
})

test("an import that cannot put an image in place is finished later: nothing else has its images", async () => {
  await using source = await filled(await folder())
  const archive = join(await folder(), "database.tar")
  await source.export(archive)
  const path = await folder()
  const obstacle = join(path, "notes.image.tmp", "x")
  {
    await using db = await open(path)
    mkdirSync(obstacle, { recursive: true })
    await assert.rejects(db.import(archive), StorageFailure)
    await assert.rejects(db.collection("notes"), StorageFailure)
  }
  rmSync(join(obstacle, ".."), { recursive: true })
  assert.deepEqual(await stateIn(path), await stateOf(source))
  assert.equal(existsSync(join(path, "transfer")), false)
})

describe("a hostile archive is refused and changes nothing", async () => {
  const manifestOf = (collections: ReadonlyArray<string>, bytes: number) =>
    encodeManifest(kernels, { name: "a", time: 1, bytes, collections })
  const file = (name: string, data: Uint8Array) => ({
    header: { name, size: data.length, type: "file" as const },
    data
  })
  const source = await filled(await folder())
  const whole = join(await folder(), "whole")
  await source.export(whole, { format: "gzip" })
  await source.close()
  const entries = await unpackTar(gunzipSync(readFileSync(whole)))
  const [, more, notes] = entries.map(({ data }) => data!) as [Uint8Array, Uint8Array, Uint8Array]
  const manifest = manifestOf(["more", "notes"], more.length + notes.length)
  const damaged = Uint8Array.from(notes)
  damaged[1000]! ^= 1
  const link = { header: { name: "more.image", size: 0, type: "symlink" as const, linkname: "/etc/passwd" } }
  const tars: Record<string, Parameters<typeof packTar>[0]> = {
    "no entries": [],
    "no manifest": [file("more.image", more)],
    "a path that leaves the folder": [
      file("manifest", manifest),
      file("../more.image", more),
      file("notes.image", notes)
    ],
    "an absolute path": [file("manifest", manifest), file("/more.image", more), file("notes.image", notes)],
    "a link in place of an image": [file("manifest", manifest), link, file("notes.image", notes)],
    "another order": [file("manifest", manifest), file("notes.image", notes), file("more.image", more)],
    "an image twice": [file("manifest", manifest), file("more.image", more), file("more.image", more)],
    "an image too few": [file("manifest", manifest), file("more.image", more)],
    "a file too many": [
      file("manifest", manifest),
      file("more.image", more),
      file("notes.image", notes),
      file("x", more)
    ],
    "a damaged image": [file("manifest", manifest), file("more.image", more), file("notes.image", damaged)],
    "something else for an image": [
      file("manifest", manifestOf(["more"], 9)),
      file("more.image", Buffer.from("no image!"))
    ],
    "images longer than said": [file("manifest", manifestOf(["more"], 9)), file("more.image", more)],
    "images shorter than said": [file("manifest", manifestOf(["more"], more.length + 1)), file("more.image", more)],
    "a name that leaves the folder": [file("manifest", manifestOf(["../x"], more.length)), file("../x.image", more)],
    "a collection twice": [
      file("manifest", manifestOf(["more", "more"], 2 * more.length)),
      file("more.image", more),
      file("more.image", more)
    ],
    "bytes that are no number": [file("manifest", manifestOf(["more"], Number.NaN)), file("more.image", more)],
    "a manifest that is damaged": [file("manifest", manifest.with(60, 0)), file("more.image", more)],
    "a manifest that is too long": [file("manifest", new Uint8Array(2 ** 21))]
  }
  const path = await folder()
  const db = await open(path)
  after(() => db.close())
  await (await db.collection("notes", OPTIONS)).add({ key: "old", vector: [1, 1] })
  const before = await stateOf(db)
  const files = () =>
    readdirSync(path)
      .filter((name) => name !== "transfer")
      .sort()
  const namesBefore = files()
  const unpacksTo = (tar: Uint8Array, archive: Uint8Array, unpack: (bytes: Uint8Array) => Buffer): boolean => {
    try {
      return unpack(archive).equals(tar)
    } catch {
      return false
    }
  }
  const refused = async (
    bytes: Uint8Array,
    options?: Parameters<Database["import"]>[1],
    error: object = ImportInvalid
  ) => {
    const archive = join(await folder(), "hostile")
    writeFileSync(archive, bytes)
    await assert.rejects(db.import(archive, options), error as typeof ImportInvalid)
    assert.deepEqual(await stateOf(db), before)
    assert.deepEqual(files(), namesBefore)
    if (existsSync(join(path, "transfer")))
      assert.deepEqual(readdirSync(join(path, "transfer"), { recursive: true }), [])
  }
  for (const [what, tar] of Object.entries(tars)) test(what, async () => refused(gzipSync(await packTar(tar))))

  test("of another compression, cut off, or with a changed byte", async () => {
    const tar = gunzipSync(readFileSync(whole))
    await refused(tar)
    await refused(new Uint8Array())
    // As archives are written: without the checksum a changed byte of what fills the tar file up would not be seen.
    const checked = zstdCompressSync(tar, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    const ways = [
      { compressed: gzipSync(tar), unpack: gunzipSync },
      { compressed: checked, unpack: zstdDecompressSync }
    ]
    for (const { compressed, unpack } of ways) {
      for (const at of [0.1, 0.5, 0.9, 0.99]) {
        await refused(compressed.subarray(0, Math.floor(compressed.length * at)))
        const changed = compressed.map((byte, i) => (i === Math.floor(compressed.length * at) ? byte ^ 4 : byte))
        // A copy from elsewhere of the same bytes is no damage: where they lie depends on the time in the archive.
        if (!unpacksTo(tar, changed, unpack)) await refused(changed)
      }
    }
    // The tar file is cut off, and what compresses it is whole.
    for (const at of [100, 512, 1000, tar.length - 1024, tar.length - 600]) await refused(gzipSync(tar.subarray(0, at)))
  })

  test("that unpacks to more than may be, than fits on the disk, or than it says", async () => {
    await refused(readFileSync(whole), { maxBytes: more.length })
    const huge = manifestOf(["more"], 2 ** 52)
    await refused(gzipSync(await packTar([file("manifest", huge)])), {}, StorageFailure)
    // After the end of the tar file come zeros.
    const tar = await packTar(entries)
    await refused(gzipSync(Buffer.concat([tar, new Uint8Array(2 ** 25)])))
    const pax = {
      header: { name: "manifest", size: 2 ** 22, type: "pax-header" as const },
      data: new Uint8Array(2 ** 22)
    }
    await refused(gzipSync(await packTar([pax])))
  })
})
