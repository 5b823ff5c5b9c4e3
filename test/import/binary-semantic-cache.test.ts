/** Folders that binary-semantic-cache 1.0.1 wrote are read through both doors; damaged ones fail by name. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import * as Effect from "effect/Effect"
import * as EffectDoor from "../../src/effect.ts"
import { ImportInvalid, InvalidParameter, readBinarySemanticCache, StorageFailure } from "../../src/index.ts"
import { run } from "../programs.ts"
import { turnsOf } from "../turns.ts"

/** File by file in base64, as the package wrote them on a little-endian machine. */
type Folders = Readonly<Record<"v2" | "v3", Readonly<Record<string, string>>>>

const folders: Folders = JSON.parse(await readFile(new URL("folders.json", import.meta.url), "utf8"))

const RESPONSES = ["the capital is Paris", "déjà vu — 記憶", "", "x".repeat(300), "the capital is Paris"]
/** The first code, and when all five were put: what the package says of them. */
const CODE = [7865787501553909016n, 11255128994900214682n, 7567791767618046741n, 17928992806180776487n]
const CREATED = Date.UTC(2020, 0, 1) + 217_856_769_000

let root: string
let made = 0
before(async () => {
  root = await mkdtemp(join(tmpdir(), "sabine-import-"))
})
after(() => rm(root, { recursive: true }))

/** A folder of its own with the files of a version. */
const folderOf = async (version: keyof Folders): Promise<string> => {
  const folder = join(root, String(made++))
  await mkdir(folder)
  for (const [name, base64] of Object.entries(folders[version])) {
    await writeFile(join(folder, name), Buffer.from(base64, "base64"))
  }
  return folder
}

const wordsOf = (code: Uint8Array): ReadonlyArray<bigint> => {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength)
  return [0, 8, 16, 24].map((at) => view.getBigUint64(at, true))
}

test("version 3: codes, times, counts and responses", async () => {
  const { version, threshold, entries } = await readBinarySemanticCache(await folderOf("v3"))
  assert.deepEqual([version, threshold], [3, 0.8])
  assert.deepEqual(
    entries.map(({ response }) => response),
    RESPONSES
  )
  assert.deepEqual(
    entries.map(({ uses }) => uses),
    [0, 3, 0, 0, 0]
  )
  assert.deepEqual(wordsOf(entries[0]!.code), CODE)
  for (const { createdAt, lastUsedAt } of entries) assert.deepEqual([createdAt, lastUsedAt], [CREATED, CREATED])
})

test("version 2 holds what version 3 does, through the Effect door", async () => {
  const old = await Effect.runPromise(EffectDoor.readBinarySemanticCache(await folderOf("v2")))
  const { entries } = await readBinarySemanticCache(await folderOf("v3"))
  assert.deepEqual(old, { version: 2, threshold: 0.8, entries })
})

/** Changes a field of the header. */
const withHeader = (fields: Readonly<Record<string, unknown>>) => async (folder: string) => {
  const path = join(folder, "header.json")
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...fields }))
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Puts other bytes in place of a file of version 3, with their checksum. */
const withFile = (name: "entries" | "responses", change: (bytes: Buffer) => Uint8Array) => async (folder: string) => {
  const path = join(folder, name === "entries" ? "entries.bin" : "responses.pkl")
  const bytes = change(await readFile(path))
  await writeFile(path, bytes)
  await withHeader({ [`${name}_checksum`]: sha256(bytes) })(folder)
}

const flip = (name: string) => async (folder: string) => {
  const bytes = await readFile(join(folder, name))
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(join(folder, name), bytes)
}

const cut = (name: string) => async (folder: string) => {
  await writeFile(join(folder, name), (await readFile(join(folder, name))).subarray(0, -1))
}

const remove = (name: string) => (folder: string) => rm(join(folder, name))

type Damage = readonly [what: string, field: string, version: keyof Folders, damage: (folder: string) => Promise<void>]

const DAMAGES: ReadonlyArray<Damage> = [
  ["no header", "file", "v3", remove("header.json")],
  ["a header that is no JSON", "header", "v3", (folder) => writeFile(join(folder, "header.json"), "{")],
  ["a header that is no object", "header", "v3", (folder) => writeFile(join(folder, "header.json"), "[3]")],
  ["a header that is not UTF-8", "header", "v3", (folder) => writeFile(join(folder, "header.json"), Buffer.of(0xff))],
  ["a header of megabytes", "length", "v3", (folder) => writeFile(join(folder, "header.json"), Buffer.alloc(2 ** 21))],
  ["another version", "version", "v3", withHeader({ version: 4 })],
  ["a version that is no number", "version", "v3", withHeader({ version: "3" })],
  ["codes of another width", "code_bits", "v3", withHeader({ code_bits: 128 })],
  ["another entry size", "entry_size", "v3", withHeader({ entry_size: 45 })],
  ["big-endian entries", "endian", "v3", withHeader({ endian: "big" })],
  ["another checksum", "checksum_algo", "v3", withHeader({ checksum_algo: "md5" })],
  ["a negative number of entries", "n_entries", "v3", withHeader({ n_entries: -1 })],
  ["a fraction of an entry", "n_entries", "v3", withHeader({ n_entries: 4.5 })],
  ["more entries than there are", "length", "v3", withHeader({ n_entries: 2 ** 30 })],
  ["a threshold above 1", "threshold", "v3", withHeader({ threshold: 1.5 })],
  ["no checksum", "checksum", "v3", withHeader({ entries_checksum: "" })],
  ["entries of other bytes", "checksum", "v3", flip("entries.bin")],
  ["responses of other bytes", "checksum", "v3", flip("responses.pkl")],
  ["entries cut off", "length", "v3", cut("entries.bin")],
  ["responses cut off", "checksum", "v3", cut("responses.pkl")],
  ["responses cut off, with their checksum", "byte 2", "v3", withFile("responses", (bytes) => bytes.subarray(0, -1))],
  ["no entries", "file", "v3", remove("entries.bin")],
  [
    "a folder for a file",
    "file",
    "v3",
    async (folder) => {
      await remove("entries.bin")(folder)
      await mkdir(join(folder, "entries.bin"))
    }
  ],
  [
    "a pipe for a file",
    "file",
    "v3",
    async (folder) => {
      await remove("entries.bin")(folder)
      await run("mkfifo", ["entries.bin"], folder)
    }
  ],
  [
    "more responses than entries",
    "length",
    "v3",
    async (folder) => {
      await withFile("entries", (bytes) => bytes.subarray(0, 4 * 44))(folder)
      await withHeader({ n_entries: 4 })(folder)
    }
  ],
  ["no number of words", "n_words", "v2", withHeader({ n_words: undefined })],
  ["no checksums", "checksum", "v2", withHeader({ checksums: undefined })],
  ["codes of other bytes", "checksum", "v2", flip("codes.bin")],
  ["times of other bytes", "checksum", "v2", flip("created_at.bin")],
  ["counts of other bytes", "checksum", "v2", flip("access_count.bin")],
  ["counts cut off", "length", "v2", cut("access_count.bin")],
  [
    "a time that is none",
    "entry 0",
    "v2",
    async (folder) => {
      const bytes = Buffer.alloc(40, 0xff)
      await writeFile(join(folder, "created_at.bin"), bytes)
      const { checksums } = JSON.parse(await readFile(join(folder, "header.json"), "utf8"))
      await withHeader({ checksums: { ...checksums, created_at: sha256(bytes) } })(folder)
    }
  ],
  [
    "a count below 0",
    "entry 0",
    "v2",
    async (folder) => {
      const bytes = Buffer.alloc(20, 0xff)
      await writeFile(join(folder, "access_count.bin"), bytes)
      const { checksums } = JSON.parse(await readFile(join(folder, "header.json"), "utf8"))
      await withHeader({ checksums: { ...checksums, access_count: sha256(bytes) } })(folder)
    }
  ]
]

describe("a folder that is not whole", () => {
  for (const [what, field, version, damage] of DAMAGES) {
    test(`${version}: ${what}`, async () => {
      const folder = await folderOf(version)
      await damage(folder)
      await assert.rejects(readBinarySemanticCache(folder), (error) => {
        assert.ok(error instanceof ImportInvalid, String(error))
        assert.equal(error.field, field, error.message)
        assert.ok(error.path.startsWith(folder))
        return true
      })
    })
  }
})

test("fewer responses than entries leave the last ones without", async () => {
  const folder = await folderOf("v3")
  await withFile("responses", () => Buffer.from("80055d942e", "hex"))(folder)
  const { entries } = await readBinarySemanticCache(folder)
  assert.deepEqual(
    entries.map(({ response }) => response),
    [null, null, null, null, null]
  )
})

test("a program in place of responses is not run, though its checksum is right", async () => {
  const folder = await folderOf("v3")
  const proof = join(root, "executed")
  const call = Buffer.from(`cos\nsystem\n(S'touch ${proof}'\ntR.`)
  await withFile("responses", () => call)(folder)
  await assert.rejects(readBinarySemanticCache(folder), { _tag: "ImportInvalid", field: "byte 0", status: 422 })
  await assert.rejects(readFile(proof), { code: "ENOENT" })
})

test("what is no folder is refused by its kind", async () => {
  await assert.rejects(readBinarySemanticCache(join(root, "nowhere")), ImportInvalid)
  const file = join(root, "file")
  await cp(new URL("folders.json", import.meta.url), file)
  await assert.rejects(readBinarySemanticCache(file), StorageFailure)
  for (const wrong of ["", "a\0b", 7]) await assert.rejects(readBinarySemanticCache(wrong as string), InvalidParameter)
})

describe("a large folder", () => {
  const [count, recordBytes, chunk] = [8000, 44, 1 << 18]
  const large = async (): Promise<string> => {
    const folder = await folderOf("v3")
    await withHeader({ n_entries: count })(folder)
    await withFile("entries", () => Buffer.alloc(count * recordBytes))(folder)
    return folder
  }

  test("is read in turns of the event loop", async () => {
    const folder = await large()
    const turns = await turnsOf(async () => {
      assert.equal((await readBinarySemanticCache(folder)).entries.length, count)
    })
    // Each record is made, and then its entry, eight between two looks at the clock.
    assert.ok(turns >= 2 * (count / 8 - 1) + Math.floor((count * recordBytes) / chunk), `${turns}`)
  })

  test("is read no further once that is interrupted", async () => {
    const folder = await large()
    const [begun, most] = [50, 500]
    const controller = new AbortController()
    const turns = await turnsOf(async (soFar) => {
      const reading = Effect.runPromise(EffectDoor.readBinarySemanticCache(folder), { signal: controller.signal })
      const refused = assert.rejects(reading)
      while (soFar() < begun) await new Promise(setImmediate)
      controller.abort()
      await refused
    })
    assert.ok(turns < most, `${turns}`)
  })
})
