/** What each part of a database is made up for by when it is damaged, and what is said of the rest. */
import assert from "node:assert/strict"
import { cp, mkdtemp, open as openFile, readFile, rm, unlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, before, describe, test } from "node:test"
import { crc32c } from "../src/core/kernels/crc32c.ts"
import {
  type Collection,
  type Embedder,
  hashEmbedder,
  open,
  RowsLost,
  repair,
  type Salvage,
  staticEmbedder,
  verify
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { makeTwoImages } from "./salvaging.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-parts-"))
after(() => rm(root, { recursive: true }))
let folders = 0
const folder = (): string => join(root, `${++folders}`)

const copyOf = async (path: string): Promise<string> => {
  const made = folder()
  await cp(path, made, { recursive: true })
  return made
}

const IMAGES = ["notes.image", "notes.previous.image"]
const removeImages = async (path: string): Promise<void> => {
  for (const name of IMAGES) await rm(join(path, name), { force: true })
}

const contents = async (collection: Pick<Collection, "entries">): Promise<Record<string, unknown>> => {
  const found: Record<string, unknown> = {}
  for await (const { key, ...entry } of collection.entries()) found[key] = entry
  return found
}

const sql = (path: string, text: string): void => {
  const sqlite = new DatabaseSync(join(path, "records.sqlite"))
  sqlite.exec(text)
  sqlite.close()
}

const namedKeys = (losses: ReadonlyArray<RowsLost>): ReadonlyArray<string> =>
  losses.flatMap(({ keys }) => keys.map(({ key }) => key)).sort()

describe("vectors that are lost", () => {
  /** A folder whose log has keys and payloads alone of the entries that its images have. */
  const folded = async (embedder: Embedder): Promise<string> => {
    const path = folder()
    const db = await open(path)
    const notes = await db.collection("notes", { embedder })
    await notes.add({ key: "cat", text: "the cat sat on the window sill" })
    await notes.add({ key: "paid", text: "revenue grew", payload: { text: "revenue grew", year: 2024 } })
    await notes.add({ key: "other", text: "something else", payload: { title: "without its text" } })
    await notes.add({ key: "late", text: "a kitten slept in the sun" })
    await notes.delete("late")
    await db.save()
    await notes.add({ key: "new", text: "a dog barked" })
    await db.save()
    await db.close()
    await removeImages(path)
    return path
  }

  for (const embedder of [hashEmbedder({ dimensions: 64 }), staticEmbedder()]) {
    test(`are made again from texts by ${embedder.id}`, async () => {
      await using db = await open(await folded(embedder), { salvage: true })
      const [loss, ...rest] = db.losses
      assert.equal(rest.length, 0)
      assert.ok(loss instanceof RowsLost)
      assert.deepEqual([loss.collection, loss.rows, loss.keys], ["notes", 1, [{ key: "other" }]])
      assert.match(loss.reason, /no text/)
      const notes = await db.collection("notes", { embedder })
      assert.deepEqual(Object.keys(await contents(notes)).sort(), ["cat", "new", "paid"])
      assert.deepEqual((await notes.get("paid"))?.payload, { text: "revenue grew", year: 2024 })
      const [vector] = [await embedder.embed(["revenue grew"])]
      assert.ok((await notes.search(vector, { k: 1, mode: "exact" }))[0]!.score > 0.999)
    })
  }

  test("wait in the folder of before for an embedder that was not given", async () => {
    const mine: Embedder = {
      id: "mine@1",
      dimensions: 2,
      embed: async (texts) => Float32Array.from(texts.flatMap((text) => [text.length, 1]))
    }
    const path = await folded(mine)
    const first = await repair(path)
    assert.deepEqual(namedKeys(first.losses), ["cat", "other", "paid"])
    assert.ok(first.losses.every(({ reason }) => /not given/.test(reason)))
    const { losses, collections } = await repair(first.aside!, { embedders: [mine] })
    assert.deepEqual(namedKeys(losses), ["other"])
    assert.deepEqual(collections, [{ name: "notes", rows: 3, reembedded: 2 }])
  })

  test("an embedder that fails changes nothing", async () => {
    const broken: Embedder = { id: "mine@1", dimensions: 2, embed: async () => new Float32Array(3) }
    const good: Embedder = { ...broken, embed: async (texts) => new Float32Array(2 * texts.length).fill(1) }
    const path = await folded(good)
    const before = await readFile(join(path, "records.sqlite"))
    await assert.rejects(repair(path, { embedders: [broken] }), failsWith("EmbedderFailed"))
    assert.deepEqual(await readFile(join(path, "records.sqlite")), before)
  })
})

describe("one image alone", () => {
  const ROWS = 66_000
  const DIMENSIONS = 8
  let path: string
  let bytes: Buffer
  const vectorOf = (i: number, j: number) => Math.fround(Math.sin(i * 0.37 + j * (1 + (i % 13))))
  const payloadOf = (i: number) => ({ i, text: `t${i % 10}` })

  before(async () => {
    path = folder()
    await using db = await open(path, { durability: "relaxed", snapshots: false })
    const notes = await db.collection("notes", { dimensions: DIMENSIONS, metric: "l2", index: "ivf" })
    await notes.addMany({
      keys: Array.from({ length: ROWS }, (_, i) => `key ${i}`),
      vectors: Float32Array.from({ length: ROWS * DIMENSIONS }, (_, n) =>
        vectorOf(Math.floor(n / DIMENSIONS), n % DIMENSIONS)
      ),
      payloads: Array.from({ length: ROWS }, (_, i) => payloadOf(i))
    })
    await notes.delete("key 5")
    await notes.buildIndex()
    await db.save()
    await db.close()
    await unlink(join(path, "records.sqlite"))
    await rm(join(path, "records.sqlite.clean"), { force: true })
    bytes = await readFile(join(path, "notes.image"))
  })

  const MIB = 1 << 20
  const sectionAt = (field: number): number => Number(bytes.readBigUInt64LE(field))
  const SEGMENTS = 512
  /** Bytes of the rows buffer of a full segment: six small columns, then vectors. */
  const ROWS_BYTES = 65_536 * (1 / 8 + 2 + 2 + 4 + 1 + 1 + 4 * DIMENSIONS)
  const CODES_BYTES = 65_536 * (32 + 2 + 2)

  for (const [what, at, wanted] of [
    ["live bits, tags and scopes", () => SEGMENTS + 8, { named: true }],
    ["vectors", () => SEGMENTS + MIB, { named: true }],
    ["codes", () => SEGMENTS + ROWS_BYTES, {}],
    ["record addresses", () => SEGMENTS + ROWS_BYTES + CODES_BYTES, {}],
    ["the encoder", () => sectionAt(104), {}],
    ["keys", () => sectionAt(120), {}],
    ["records", () => sectionAt(136) + 40, { named: false }],
    ["lists", () => sectionAt(216), {}],
    ["the description", () => sectionAt(200), {}]
  ] as const) {
    test(`damaged in ${what}`, async () => {
      const copy = await copyOf(path)
      const damaged = Buffer.from(bytes)
      damaged[at()]! ^= 1
      await writeFile(join(copy, "notes.image"), damaged)
      const { faults } = await verify(copy)
      assert.ok(faults.some(({ bytes }) => bytes !== undefined && bytes.from <= at() && at() < bytes.to))
      const { losses, collections }: Salvage = await repair(copy)
      // The log is gone: what was written after the image is not known.
      const rows = losses.filter((loss) => loss.rows !== undefined)
      assert.equal(losses.length - rows.length, 1)
      const lost = rows.reduce((sum, loss) => sum + loss.rows!, 0)
      assert.equal(lost + collections[0]!.rows, ROWS - 1)
      if ("named" in wanted) {
        assert.ok(lost > 0 && lost < ROWS / 1.5, `${lost} are lost`)
        assert.equal(namedKeys(rows).length, wanted.named ? Math.min(lost, 1000) : 0)
      } else assert.equal(lost, 0)
      await using db = await open(copy)
      const notes = await db.collection("notes")
      let count = 0
      for await (const { key, payload, vector } of notes.entries()) {
        const i = Number(key.slice(4))
        assert.ok(
          JSON.stringify(payload) === JSON.stringify(payloadOf(i)) && vector!.every((x, j) => x === vectorOf(i, j))
        )
        count++
      }
      assert.equal(count, collections[0]!.rows)
      for (const i of [7, 20_000, 60_000, 65_000, 65_999]) {
        const key = `key ${i}`
        if (!(await notes.has(key))) continue
        const query = Float32Array.from({ length: DIMENSIONS }, (_, j) => vectorOf(i, j))
        // Found by its code alone, where that was made again as well.
        const [hit] = await notes.search(query, { k: 1, mode: "flat" })
        assert.ok(hit!.score > -1e-6, `${key} is not found`)
      }
      assert.equal(await notes.has("key 5"), false)
    })
  }

  test("cut off before its checksums tells nothing, and is said to", async () => {
    const copy = await copyOf(path)
    await writeFile(join(copy, "notes.image"), bytes.subarray(0, 3 * MIB))
    const { losses, collections } = await repair(copy)
    assert.equal(collections[0]!.rows, 0)
    assert.equal(losses.find(({ rows }) => rows !== undefined)?.rows, ROWS - 1)
  })
})

test("a change whose entry was written by a frame that is lost is not put on what was before", async () => {
  const path = folder()
  {
    await using db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2, metric: "l2" })
    await notes.add({ key: "a", vector: [1, 0], payload: "old" })
    await db.save()
    await notes.update({ key: "a", vector: [2, 0], payload: "new" })
    await notes.update({ key: "a", payload: "newest" })
    await notes.add({ key: "b", vector: [3, 0], payload: "b" })
  }
  sql(path, "UPDATE log SET frame = zeroblob(length(frame)) WHERE number = 2")
  await using db = await open(path, { salvage: true })
  const notes = await db.collection("notes")
  assert.deepEqual((await notes.get("a"))?.payload, "old")
  assert.deepEqual([...((await notes.get("a"))?.vector ?? [])], [1, 0])
  assert.deepEqual((await notes.get("b"))?.payload, "b")
  assert.deepEqual(namedKeys(db.losses), ["a"])
  assert.ok(db.losses.some(({ rows, reason }) => rows === undefined && /frames cannot be read: 2 to 2/.test(reason)))
})

describe("a log that is gone", () => {
  test("costs what no image has, of every collection", async () => {
    const path = folder()
    {
      await using db = await open(path)
      for (const name of ["notes", "others"]) {
        const collection = await db.collection(name, { dimensions: 2, fields: { n: "number" } })
        await collection.namespace("acme").add({ key: "a", vector: [1, 2], payload: name, fields: { n: 1 } })
      }
      await db.save()
    }
    await unlink(join(path, "records.sqlite"))
    await assert.rejects(open(path), failsWith("LogInvalid"))
    await using db = await open(path, { salvage: true })
    assert.deepEqual(
      db.losses.map(({ collection, rows, keys }) => [collection, rows, keys]),
      [
        ["notes", undefined, []],
        ["others", undefined, []]
      ]
    )
    for (const name of ["notes", "others"]) {
      const view = (await db.collection(name)).namespace("acme")
      assert.deepEqual((await view.get("a"))?.payload, name)
      assert.deepEqual((await view.get("a"))?.fields, { n: 1 })
    }
  })

  test("and an image beside it that is damaged: the newer rows come from it, the others from the older", async () => {
    const path = folder()
    {
      await using db = await open(path)
      const notes = await db.collection("notes", { dimensions: 2, metric: "l2" })
      await notes.add({ key: "a", vector: [1, 0], payload: 1 })
      await db.save()
      await notes.update({ key: "a", vector: [2, 0], payload: 2 })
      await notes.add({ key: "b", vector: [3, 0], payload: 3 })
      await db.save()
    }
    await unlink(join(path, "records.sqlite"))
    const image = join(path, "notes.image")
    const file = await openFile(image, "r+")
    const keys = Number((await readFile(image)).readBigUInt64LE(120))
    await file.write(Buffer.from([255, 255, 255, 255]), 0, 4, keys)
    await file.close()
    await using db = await open(path, { salvage: true })
    const found = await contents(await db.collection("notes"))
    assert.deepEqual(
      Object.entries(found).map(([key, entry]) => [key, (entry as { readonly payload: unknown }).payload]),
      [
        ["a", 2],
        ["b", 3]
      ]
    )
  })
})

test("going back to a checkpoint that was interrupted is finished before anything is salvaged", async () => {
  const path = folder()
  {
    await using db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "then", vector: [1, 0] })
    await db.checkpoint("good")
    await notes.add({ key: "now", vector: [1, 1] })
    await db.save()
    const images = await Promise.all(IMAGES.map((name) => readFile(join(path, name)).catch(() => undefined)))
    await db.restore("good")
    await db.close()
    // As if the process had ended before the images took their places, and one of them is damaged.
    for (const [i, name] of IMAGES.entries()) {
      if (images[i] === undefined) continue
      images[i][700]! ^= 1
      await rm(join(path, name), { force: true })
      await writeFile(join(path, name), images[i])
    }
  }
  const checkpoint = crc32c(new TextEncoder().encode("checkpoints/good"))
  sql(path, `INSERT INTO restoring VALUES ('checkpoints/good', ${checkpoint})`)
  const { losses } = await repair(path)
  assert.deepEqual(losses, [])
  await using db = await open(path)
  assert.deepEqual(Object.keys(await contents(await db.collection("notes"))), ["then"])
})

test("reading tells how far it is, to the last byte, before anything is repaired", async () => {
  const path = folder()
  await makeTwoImages(path)
  const image = await readFile(join(path, "notes.image"))
  image[600]! ^= 1
  await writeFile(join(path, "notes.image"), image)
  const told: Array<readonly [done: number, total: number]> = []
  const onProgress = (done: number, total: number) => told.push([done, total])
  const isToldToTheEnd = (bytes: number): void => {
    const steps = told.splice(0)
    assert.ok(
      steps.length > 1 && steps.every(([done, total], i) => done >= (steps[i - 1]?.[0] ?? 0) && total === bytes)
    )
    assert.deepEqual(steps.at(-1), [bytes, bytes])
  }
  const { bytes, faults } = await verify(path, { onProgress })
  assert.ok(faults.length > 0)
  isToldToTheEnd(bytes)
  await repair(path, { onProgress })
  isToldToTheEnd(bytes)
  await using _ = await open(path, { salvage: { onProgress } })
  assert.ok(told.length > 1)
})

test("a note of a checkpoint that is none is damage, and nothing to finish", async () => {
  const path = folder()
  {
    await using db = await open(path)
    await (await db.collection("notes", { dimensions: 2 })).add({ key: "a", vector: [1, 0] })
  }
  sql(path, "INSERT INTO restoring VALUES ('checkpoints/none', 1)")
  const { faults, losses } = await repair(path)
  assert.deepEqual(
    faults.map(({ rows }) => rows?.table),
    ["restoring"]
  )
  assert.deepEqual(losses, [])
  await using db = await open(path)
  assert.equal((await db.collection("notes")).size(), 1)
})

test("what is whole is not touched, and memory has nothing to salvage", async () => {
  const path = folder()
  {
    await using db = await open(path, { salvage: true })
    await (await db.collection("notes", { dimensions: 2 })).add({ key: "a", vector: [1, 0] })
    assert.deepEqual(db.losses, [])
  }
  const { faults, losses, collections, aside } = await repair(path)
  assert.deepEqual([faults, losses, collections, aside], [[], [], [], undefined])
  await using memory = await open(":memory:", { salvage: true })
  assert.deepEqual(memory.losses, [])
  for (const salvage of [3, null, { embedders: 3 }, { embedders: [{}] }, { onProgress: 1 }]) {
    await assert.rejects(open(":memory:", { salvage: salvage as never }), failsWith("InvalidParameter"))
  }
})
