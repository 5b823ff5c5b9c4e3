/** Damaged folders are made whole again of what they still hold: nothing that is wrong, and what is lost is named. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { LogInvalid, open, type RowsLost, verify } from "../src/index.ts"
import { damage } from "./crash/damage.ts"
import { randomBits } from "./property/kernels/random.ts"
import { contentOf, contentText, filesOf, makeSpecimens, NAME, NAMESPACE, type Specimen } from "./salvaging.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-salvage-"))
after(() => rm(root, { recursive: true }))
let folders = 0

/** A folder of these files. */
const folderOf = async (files: ReadonlyMap<string, Buffer>): Promise<string> => {
  const folder = await mkdtemp(join(root, `${++folders}-`))
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes)
  return folder
}

const nameOf = ({ key, namespace }: RowsLost["keys"][number]): string => {
  assert.ok(namespace === undefined || namespace === NAMESPACE)
  return namespace === undefined ? key : `/${key}`
}

/** Fails unless what was salvaged is right as far as it goes, and what is lost is said. */
const check = (
  specimen: Specimen,
  found: ReadonlyMap<string, string>,
  losses: ReadonlyArray<RowsLost>,
  isWal: boolean
) => {
  for (const [key, text] of found) assert.ok(specimen.states.get(key)?.has(text), `${key} was never ${text}`)
  if (losses.length === 0) {
    if (isWal) assert.ok(specimen.contents.has(contentText(found)), "the state after no call")
    else
      assert.ok(
        contentText(found) === contentText(specimen.content),
        `holds ${[...found.keys()]} and says all is there`
      )
    return
  }
  const named = new Set(losses.flatMap(({ keys }) => keys.map(nameOf)))
  const hasUnnamed = losses.some(({ rows, keys }) => rows === undefined || rows > keys.length)
  // What a damaged write-ahead log took back is known to the images alone, where there are any.
  if (hasUnnamed || isWal) return
  for (const [key, text] of specimen.content) {
    if (found.get(key) !== text) assert.ok(named.has(key), `${key} is not as it was, and not named`)
  }
}

/** Folders of each precision; `SALVAGE_CASES=500 SALVAGE_SEED=2 node --test test/salvage.test.ts` tries more, and others. */
const CASES = Number(process.env["SALVAGE_CASES"] ?? 12)
const SEED = Number(process.env["SALVAGE_SEED"] ?? 0)

for (const precision of ["f32", "int8", "none"] as const) {
  test(`any damage to any files: ${precision}`, async (t) => {
    t.mock.method(console, "log", () => undefined)
    const options = {
      dimensions: 16,
      metric: "l2",
      precision,
      fields: { call: "number", lang: "tag" }
    } as const
    const specimens = await makeSpecimens(options, randomBits(5))
    const counts = { whole: 0, partly: 0, nothing: 0, refused: 0, kept: 0, of: 0 }
    for (let i = 0; i < CASES; i++) {
      const bits = randomBits(SEED * 1_000_003 + 7_919 + i)
      const specimen = specimens[bits() % specimens.length]!
      const files = new Map(specimen.files)
      const said: Array<string> = []
      for (const [name, bytes] of specimen.files) {
        const what = bits() % 8
        if (what === 0) {
          files.delete(name)
          said.push(`${name} is gone`)
        } else if (what <= 3) {
          const { kind, bytes: damaged, at } = damage(bytes, name.endsWith("-wal"), bits)
          files.set(name, damaged)
          said.push(`${kind} of ${name} at ${at}`)
        }
      }
      const folder = await folderOf(files)
      const message = `case ${i}: ${said.join(", ")}`
      try {
        const isWal = said.some((text) => text.includes("-wal"))
        const { faults } = await verify(folder)
        const db = await open(folder, { threads: 1, salvage: true, snapshots: false })
        const { losses } = db
        const names = await db.collections()
        const found = names.includes(NAME) ? await contentOf(await db.collection(NAME)) : new Map<string, string>()
        if (names.includes(NAME)) assert.ok(found.size === 0 || (await db.collection(NAME)).size() > 0)
        await db.close()
        check(specimen, found, losses, isWal)
        const aside = join(folder, "damaged-1")
        assert.equal(existsSync(aside), faults.length > 0)
        if (faults.length > 0) {
          for (const [name, bytes] of await filesOf(aside)) assert.deepEqual(bytes, files.get(name), name)
          const kept = (await readdir(aside)).sort()
          const wanted = [...files.keys()].filter((name) => /\.(image|sqlite|sqlite-wal)$/.test(name)).sort()
          assert.deepEqual(kept, wanted)
          assert.deepEqual(
            (await readdir(folder)).filter((name) => /salvaged|tmp/.test(name)),
            []
          )
          assert.deepEqual((await verify(folder)).faults, [])
          await using again = await open(folder, { threads: 1 })
          if (names.includes(NAME)) {
            const collection = await again.collection(NAME, options)
            assert.equal(contentText(await contentOf(collection)), contentText(found))
            await collection.add({ key: "new", vector: new Float32Array(16).fill(1) })
            const [hit] = await collection.search(new Float32Array(16).fill(1), { k: 1 })
            assert.equal(hit?.key, "new")
          }
        }
        counts[found.size === 0 ? "nothing" : losses.length === 0 ? "whole" : "partly"]++
        counts.kept += found.size
        counts.of += specimen.content.size
      } catch (error) {
        if (error instanceof LogInvalid && /newer/.test(error.reason)) counts.refused++
        else throw new Error(message, { cause: error })
      }
      await rm(folder, { recursive: true })
    }
    t.diagnostic(JSON.stringify(counts))
    assert.ok(counts.whole > 0 && counts.partly > 0)
  })
}
