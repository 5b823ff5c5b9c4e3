/** The command line, as processes of its own. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { cp, mkdtemp, open as openFile, readdir, readFile, rm, unlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, before, describe, test } from "node:test"
import { open, type Salvage, type Verification } from "../src/index.ts"
import { sabine } from "./command.ts"
import { inRepository } from "./programs.ts"

let root: string
/** A folder with two images and writes after each, closed. */
let whole: string
let copies = 0

before(async () => {
  root = await mkdtemp(join(tmpdir(), "sabine-cli-"))
  whole = join(root, "whole")
  await using db = await open(whole)
  const notes = await db.collection("notes", { dimensions: 2, fields: { lang: "tag" } })
  for (let i = 0; i < 9; i++) {
    await notes.add({ key: `k${i}`, vector: [1, i], payload: { text: `note ${i}` }, fields: { lang: "en" } })
    if (i % 3 === 0) await db.save()
  }
})
after(() => rm(root, { recursive: true }))

const copy = async (): Promise<string> => {
  const made = join(root, `copy-${++copies}`)
  await cp(whole, made, { recursive: true, preserveTimestamps: true })
  return made
}

const flip = async (path: string, at: number): Promise<void> => {
  const file = await openFile(path, "r+")
  const byte = new Uint8Array(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 0x10
  await file.write(byte, 0, 1, at)
  await file.close()
}

/** Every file of a folder by the checksum of what is in it. */
const contentsOf = async (folder: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(folder)).map(async (name) => {
        const bytes = await readFile(join(folder, name))
        return [name, createHash("sha256").update(bytes).digest("hex")] as const
      })
    )
  )

test("help names every command and comes without the library", async () => {
  const { code, out } = await sabine("--help")
  assert.equal(code, 0)
  assert.match(out, /verify .*<path>/)
  assert.match(out, /repair .*<path>/)
  assert.match(out, /cache /)
  const { version } = JSON.parse(await readFile(inRepository("package.json"), "utf8"))
  assert.equal((await sabine("--version")).out.trim(), version)
})

test("what is not understood ends with 2 and says so", async () => {
  for (const args of [["nothing"], ["verify"], ["verify", "a", "b"], ["verify", "--what", "a"]]) {
    const { code, err } = await sabine(...args)
    assert.equal(code, 2, args.join(" "))
    assert.match(err, /error: /)
  }
})

describe("verify", () => {
  test("finds nothing wrong with what was written, and changes nothing", async () => {
    const folder = await copy()
    const before = await contentsOf(folder)
    const { code, out } = await sabine("verify", folder)
    assert.deepEqual([code, out], [0, "nothing is damaged\n"])
    assert.deepEqual(await contentsOf(folder), before)
  })

  test("names the file and the bytes or the row of each damage", async () => {
    const folder = await copy()
    const image = join(folder, "notes.image")
    await flip(image, 700)
    const sqlite = new DatabaseSync(join(folder, "records.sqlite"))
    sqlite.exec("UPDATE log SET frame = zeroblob(length(frame)) WHERE number = 8")
    sqlite.exec("UPDATE entries SET crc = crc + 1 WHERE rowid = 2")
    sqlite.close()
    const before = await contentsOf(folder)
    const { code, out } = await sabine("verify", "--json", folder)
    assert.equal(code, 1)
    assert.deepEqual(await contentsOf(folder), before)
    const { faults, files, collections } = JSON.parse(out) as Verification
    assert.deepEqual([files, collections], [3, ["notes"]])
    const at = faults.map(({ path, bytes, rows }) => [path, rows?.table ?? bytes !== undefined, rows?.from])
    assert.deepEqual(at, [
      [join(folder, "records.sqlite"), "log", 8],
      [join(folder, "records.sqlite"), "entries", 2],
      [join(folder, "records.sqlite"), false, undefined],
      [image, true, undefined]
    ])
    const lines = (await sabine("verify", folder)).out
    assert.match(lines, /records\.sqlite: log 8: its checksum does not hold/)
    assert.match(lines, /records\.sqlite: frames after 7 up to 8 are missing/)
    assert.match(lines, /notes\.image: bytes \d+\.\.\d+: /)
  })

  for (const [what, damage, wanted] of [
    ["a log that is missing", (folder: string) => unlink(join(folder, "records.sqlite")), /it is missing/],
    ["a log that is none", (folder: string) => flip(join(folder, "records.sqlite"), 3), /not a database/],
    [
      "images that are gone",
      async (folder: string) => {
        await unlink(join(folder, "notes.image"))
        await unlink(join(folder, "notes.previous.image"))
      },
      /frames up to \d of collection notes are in no image/
    ]
  ] as const) {
    test(`tells of ${what}`, async () => {
      const folder = await copy()
      await damage(folder)
      const { code, out } = await sabine("verify", folder)
      assert.equal(code, 1)
      assert.match(out, wanted)
    })
  }

  test("reads the write-ahead log that a kill left, and leaves it", async () => {
    const path = join(root, "open")
    await using db = await open(path)
    await (await db.collection("notes", { dimensions: 2 })).add({ key: "a", vector: [1, 0] })
    const { code, err } = await sabine("verify", path)
    assert.equal(code, 2)
    assert.match(err, /is open in process/)
    const folder = join(root, "killed")
    await cp(path, folder, { recursive: true })
    await unlink(join(folder, "lock"))
    const before = await contentsOf(folder)
    assert.ok("records.sqlite-wal" in before)
    assert.equal((await sabine("verify", folder)).code, 0)
    assert.deepEqual(await contentsOf(folder), before)
  })

  test("a folder that is not there is not made", async () => {
    const folder = join(root, "absent")
    assert.equal((await sabine("verify", folder)).code, 2)
    assert.equal((await readdir(root)).includes("absent"), false)
  })
})

describe("repair", () => {
  test("leaves what is whole as it is", async () => {
    const folder = await copy()
    const before = await contentsOf(folder)
    const { code, out } = await sabine("repair", folder)
    assert.deepEqual([code, out], [0, "nothing is damaged\n"])
    assert.deepEqual(await contentsOf(folder), before)
  })

  test("loses nothing where the log or an image makes up for it", async () => {
    const folder = await copy()
    for (const name of ["notes.image", "notes.previous.image"]) await flip(join(folder, name), 700)
    const sqlite = new DatabaseSync(join(folder, "records.sqlite"))
    sqlite.exec("UPDATE entries SET crc = crc + 1")
    sqlite.close()
    await sabine("repair", folder)
    const second = await copy()
    await flip(join(second, "notes.image"), 700)
    const { code, out } = await sabine("repair", second)
    assert.equal(code, 0)
    assert.match(out, /^notes: 9 entries\nnothing is lost\nthe files of before are in .*damaged-1\n$/)
    assert.equal((await sabine("verify", second)).code, 0)
    await using db = await open(second)
    assert.equal((await db.collection("notes")).size(), 9)
  })

  test("names what is lost, and ends with 1", async () => {
    const folder = await copy()
    await unlink(join(folder, "notes.image"))
    await unlink(join(folder, "notes.previous.image"))
    const { code, out } = await sabine("repair", "--json", folder)
    assert.equal(code, 1)
    const { losses, collections, aside } = JSON.parse(out) as Salvage
    // Entries up to the second save were folded: their vectors were in the images alone.
    assert.deepEqual(
      losses.map(({ collection, rows, keys }) => [collection, rows, keys.map(({ key }) => key)]),
      [["notes", 4, ["k0", "k1", "k2", "k3"]]]
    )
    assert.deepEqual(collections, [{ name: "notes", rows: 5, reembedded: 0 }])
    assert.equal(aside, join(folder, "damaged-1"))
    await using db = await open(folder)
    const notes = await db.collection("notes")
    assert.deepEqual(
      (await notes.search([1, 8], { k: 1 })).map(({ key }) => key),
      ["k8"]
    )
    const kept = await sabine("repair", join(folder, "damaged-1"))
    assert.match(kept.out, /^ {2}"k3"$/m)
  })

  test("what cannot be done ends with 2", async () => {
    assert.equal((await sabine("repair", join(root, "absent"))).code, 2)
    const sqlite = new DatabaseSync(join(await copy(), "records.sqlite"))
    sqlite.exec("PRAGMA user_version = 99")
    sqlite.close()
    const { code, err } = await sabine("repair", join(root, `copy-${copies}`))
    assert.equal(code, 2)
    assert.match(err, /newer/)
  })
})
