/** Folders of a version to come: refused as that by everything that opens, and left as they are. */
import assert from "node:assert/strict"
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, before, describe, test } from "node:test"
import { crc32c } from "../src/core/kernels/crc32c.ts"
import { ImageInvalid, LogInvalid, open, repair, verify } from "../src/index.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-newer-"))
after(() => rm(root, { recursive: true }))
const path = join(root, "folder")

const LOG = "records.sqlite"
const MARK = `${LOG}.clean`
/** Places of the header: its version, and the checksum at its end. */
const [VERSION, CHECKSUM] = [8, 508]

const newerImage =
  (...names: ReadonlyArray<string>) =>
  async (copy: string): Promise<void> => {
    for (const name of names) {
      const bytes = await readFile(join(copy, name))
      bytes.writeUInt32LE(2, VERSION)
      bytes.writeUInt32LE(crc32c(bytes.subarray(0, CHECKSUM)), CHECKSUM)
      await writeFile(join(copy, name), bytes)
    }
  }
const newerLog = (changes: string) => (copy: string) => {
  const sqlite = new DatabaseSync(join(copy, LOG))
  sqlite.exec(`PRAGMA user_version = 99; ${changes}`)
  sqlite.close()
}

/** The same as a kill leaves it: its version is in the write-ahead log alone. */
const newerWal = async (copy: string): Promise<void> => {
  const sqlite = new DatabaseSync(join(copy, LOG))
  sqlite.exec("PRAGMA user_version = 99")
  const ends = ["", "-wal"]
  await Promise.all(ends.map((end) => cp(join(copy, LOG + end), join(copy, `killed${end}`))))
  sqlite.close()
  await Promise.all(ends.map((end) => rename(join(copy, `killed${end}`), join(copy, LOG + end))))
  await rm(join(copy, MARK))
}

/** The same as a kill leaves it that came before the first write, where room was made ahead. */
const newerRoom = async (copy: string): Promise<void> => {
  newerLog("")(copy)
  await writeFile(join(copy, `${LOG}-wal`), new Uint8Array(1 << 16))
  await rm(join(copy, MARK))
}

/** Names and contents of the files, but for the mark that closing makes anew: copies have other times than it says. */
const filesOf = async (folder: string): Promise<ReadonlyMap<string, string>> =>
  new Map(
    await Promise.all(
      (await readdir(folder))
        .sort()
        .map(
          async (name) => [name, name === MARK ? "" : (await readFile(join(folder, name))).toString("base64")] as const
        )
    )
  )

before(async () => {
  const db = await open(path)
  const notes = await db.collection("notes", { dimensions: 2 })
  for (const key of ["a", "b", "c"]) {
    await notes.add({ key, vector: [1, key.charCodeAt(0)] })
    if (key !== "c") await db.save()
  }
  await db.close()
})

const WAYS: ReadonlyArray<readonly [what: string, use: (copy: string) => Promise<unknown>]> = [
  [
    "opening",
    async (copy) => {
      await using db = await open(copy)
      await db.collection("notes")
    }
  ],
  ["verifying", (copy) => verify(copy)],
  ["repairing", (copy) => repair(copy)],
  ["salvaging", async (copy) => (await open(copy, { salvage: true })).close()]
]

describe("a folder of a newer version is refused and left as it is", { concurrency: 2 }, () => {
  for (const [what, error, change] of [
    ["a log", LogInvalid, newerLog("")],
    ["a log that was not closed", LogInvalid, newerWal],
    ["a log that was not written to", LogInvalid, newerRoom],
    [
      "a log of other tables",
      LogInvalid,
      newerLog("ALTER TABLE log RENAME TO frames; ALTER TABLE collections RENAME crc TO sum")
    ],
    ["a newest image", ImageInvalid, newerImage("notes.image")],
    ["both images", ImageInvalid, newerImage("notes.image", "notes.previous.image")]
  ] as const) {
    for (const [way, use] of WAYS) {
      test(`${what}, ${way}`, async () => {
        const copy = join(root, `${what} ${way}`.replaceAll(" ", "-"))
        await cp(path, copy, { recursive: true, preserveTimestamps: true })
        await change(copy)
        const files = await filesOf(copy)
        await assert.rejects(use(copy), (found) => found instanceof error && /newer/.test(found.message))
        assert.deepEqual(await filesOf(copy), files)
      })
    }
  }
})
