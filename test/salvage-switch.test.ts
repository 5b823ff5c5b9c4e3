/** A folder whose change over to what salvaging made was interrupted. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import { setImmediate } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  lossesOf,
  noteLosses,
  reachOf,
  stampOf,
  together,
  told,
  type Untold,
  untold
} from "../src/core/salvage/untold.ts"
import { repair as effectRepair } from "../src/effect.ts"
import { open, RowsLost, repair, verify } from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { makeTwoImages } from "./salvaging.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-switch-"))
after(() => rm(root, { recursive: true }))
let folders = 0
const folder = (): string => join(root, `${++folders}`)
const copyOf = async (path: string): Promise<string> => {
  const made = folder()
  await cp(path, made, { recursive: true })
  return made
}

/** Damages a row of an image. */
const damage = async (image: string): Promise<void> => {
  const bytes = await readFile(image)
  bytes[1170]! ^= 1
  await writeFile(image, bytes)
}

/** Salvages as far as the moment when images are in their places, and the log is not. */
const interrupted = async (path: string): Promise<void> => {
  const inTheWay = join(path, "records.sqlite.clean.tmp")
  await mkdir(inTheWay)
  await assert.rejects(repair(path), failsWith("StorageFailure"))
  await rm(inTheWay, { recursive: true })
}

/** Makes a folder of collections of so many entries each. */
const makeSaved = async (path: string, names: ReadonlyArray<string>, entries: number): Promise<void> => {
  await using db = await open(path)
  for (const name of names) {
    const collection = await db.collection(name, { dimensions: 2 })
    for (let i = 0; i < entries; i++) await collection.add({ key: `${name}${i}`, vector: [1, i] })
  }
  await db.save()
}

const namedKeys = (losses: ReadonlyArray<RowsLost>): ReadonlyArray<string> =>
  losses.flatMap(({ keys }) => keys.map(({ key }) => key)).sort()

test("is made good by salvaging again", async () => {
  const path = folder()
  await makeSaved(path, ["notes"], 9)
  const sqlite = new DatabaseSync(join(path, "records.sqlite"))
  sqlite.exec("UPDATE log SET frame = zeroblob(length(frame)) WHERE number = 2")
  sqlite.close()
  const { aside } = await repair(path)
  // The images are in their place, the log is not yet.
  await cp(join(aside!, "records.sqlite"), join(path, "records.sqlite"))
  await writeFile(join(path, "notes.image.salvaged"), "left")
  await repair(path)
  assert.deepEqual((await verify(path)).faults, [])
  await using db = await open(path)
  assert.equal((await db.collection("notes")).size(), 9)
})

test("has its losses told by the next salvage, once", async () => {
  const path = folder()
  await makeTwoImages(path)
  for (const name of ["notes.image", "notes.previous.image"]) await damage(join(path, name))
  const whole = await repair(await copyOf(path))
  assert.ok(namedKeys(whole.losses).length > 0)
  await interrupted(path)
  const again = await repair(path)
  assert.deepEqual(namedKeys(again.losses), namedKeys(whole.losses))
  assert.ok(again.aside !== undefined)
  const { losses, aside } = await repair(path)
  assert.deepEqual([losses, aside], [[], undefined])
})

test("loses nothing of several collections, and says so", async () => {
  const path = folder()
  const names = ["notes", "others"]
  await makeSaved(path, names, 5)
  await damage(join(path, "notes.image"))
  await interrupted(path)
  assert.deepEqual((await repair(path)).losses, [])
  assert.deepEqual((await verify(path)).faults, [])
  await using db = await open(path)
  for (const name of names) assert.equal((await db.collection(name)).size(), 5)
})

test("between the end of the old write-ahead log and the new log loses nothing, and says so", async () => {
  const path = folder()
  const left = folder()
  {
    await using db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "a", vector: [1, 0] })
    await db.save()
    await notes.add({ key: "b", vector: [0, 1] })
    // As a kill leaves it: the log is where no checkpoint has moved it yet.
    await cp(path, left, { recursive: true, filter: (name) => !name.endsWith("lock") })
  }
  await damage(join(left, "notes.image"))
  await interrupted(left)
  await rm(join(left, "records.sqlite-wal"))
  assert.deepEqual((await repair(left)).losses, [])
  await using db = await open(left)
  assert.equal((await db.collection("notes")).size(), 2)
})

/** Takes back that an interrupted switch moved the images of a collection; old ones are those of another folder. */
const unmoved = async (path: string, name: string, old = join(path, "damaged-1")): Promise<void> => {
  for (const image of [`${name}.image`, `${name}.previous.image`]) {
    await cp(join(path, image), join(path, `${image}.salvaged`))
    await cp(join(old, image), join(path, image))
  }
}

test("before the first move changes nothing: writes that are lost with the log are named", async () => {
  const path = folder()
  await makeTwoImages(path)
  await rm(join(path, "records.sqlite"))
  const whole = await repair(await copyOf(path))
  assert.match(whole.losses[0]!.reason, /writes after frame 2 are lost/)
  await interrupted(path)
  await unmoved(path, "notes")
  assert.deepEqual((await repair(path)).losses, whole.losses)
})

test("has no losses of a collection that it had not come to, and that is had again", async () => {
  const path = folder()
  const names = ["notes", "others"]
  await makeSaved(path, names, 2)
  {
    await using db = await open(path)
    for (const name of names) await (await db.collection(name)).add({ key: "last", vector: [2, 1] })
    await db.save()
  }
  const whole = await copyOf(path)
  for (const name of names) for (const end of [".image", ".previous.image"]) await damage(join(path, name + end))
  const { losses } = await repair(await copyOf(path))
  assert.deepEqual(
    losses.map(({ collection }) => collection),
    names
  )
  await interrupted(path)
  await unmoved(path, "others", whole)
  assert.deepEqual((await repair(path)).losses, losses.slice(0, 1))
})

test("that is interrupted has its losses told by the next salvage, though it was done", async () => {
  const path = folder()
  await makeTwoImages(path)
  for (const name of ["notes.image", "notes.previous.image"]) await damage(join(path, name))
  const { losses } = await repair(await copyOf(path))
  assert.ok(losses.length > 0)
  const repairing = Effect.runFork(effectRepair(path))
  // What there was is kept first: the files have yet to change places.
  while (!existsSync(join(path, "damaged-1"))) await setImmediate()
  await Effect.runPromise(Fiber.interrupt(repairing))
  const again = await repair(path)
  assert.deepEqual([again.faults, again.losses, again.aside], [[], losses, join(path, "damaged-1")])
  assert.deepEqual((await repair(path)).losses, [])
})

test("has its losses told by the next opening where the folder could not be opened after it", async () => {
  const path = folder()
  await makeTwoImages(path)
  for (const name of ["notes.image", "notes.previous.image"]) await damage(join(path, name))
  const { losses } = await repair(await copyOf(path))
  const inTheWay = join(path, "notes.image.tmp")
  await mkdir(inTheWay)
  await assert.rejects(open(path, { salvage: true }), failsWith("StorageFailure"))
  await rm(inTheWay, { recursive: true })
  {
    await using db = await open(path, { salvage: true })
    assert.deepEqual(db.losses, losses)
  }
  await using db = await open(path, { salvage: true })
  assert.deepEqual(db.losses, [])
})

test("has nothing to tell once a checkpoint was gone back to", async () => {
  const path = folder()
  await makeSaved(path, ["notes"], 2)
  {
    await using db = await open(path)
    await (await db.collection("notes")).add({ key: "last", vector: [2, 1] })
    await db.save()
    await db.checkpoint("good")
  }
  for (const name of ["notes.image", "notes.previous.image"]) {
    // The checkpoint has the same file by another name.
    const bytes = await readFile(join(path, name))
    await rm(join(path, name))
    await writeFile(join(path, name), bytes)
    await damage(join(path, name))
  }
  await interrupted(path)
  {
    await using db = await open(path)
    await db.restore("good")
  }
  assert.deepEqual((await repair(path)).losses, [])
  await using db = await open(path)
  assert.equal((await db.collection("notes")).size(), 3)
})

describe("what it has to tell", () => {
  const loss = (reason: string) => new RowsLost({ collection: "notes", rows: undefined, keys: [{ key: "a" }], reason })
  const NOTHING: Untold = { collections: {}, aside: undefined }
  const LOG = "records.sqlite"
  const moves = { "": ["records.sqlite.salvaged"], notes: ["notes.image.salvaged", "notes.previous.image.salvaged"] }
  const ofNotes = (reason: string, highest: number, log: string): Untold => ({
    collections: { notes: { losses: [loss(reason)], highest, log } },
    aside: "damaged-1"
  })
  const started = async (before: Untold) => {
    const path = folder()
    await mkdir(path)
    for (const name of [LOG, ...Object.values(moves).flat()]) await writeFile(join(path, name), "")
    const now = ofNotes("now", 7, await stampOf(join(path, LOG)))
    const after = { ...now, collections: { ...now.collections, "": { losses: [], highest: 7, log: "" } } }
    await noteLosses(path, { before, after, moves })
    return { path, now }
  }

  test("is nothing before anything was moved, whatever else comes then", async () => {
    const { path } = await started(NOTHING)
    assert.deepEqual(await untold(path), NOTHING)
    await rm(join(path, moves.notes[0]!))
    assert.deepEqual(await untold(path), NOTHING)
    assert.deepEqual(await reachOf(path, NOTHING, "notes"), { highest: 0, isUntouched: false })
  })

  test("is told from the first move on until it was, though there are files of these names again", async () => {
    const { path, now } = await started(NOTHING)
    await rm(join(path, moves.notes[0]!))
    assert.deepEqual(await untold(path), now)
    await writeFile(join(path, moves.notes[0]!), "")
    assert.deepEqual(await untold(path), now)
    assert.deepEqual(await reachOf(path, now, "notes"), { highest: 7, isUntouched: true })
    await writeFile(join(path, LOG), "written to")
    assert.deepEqual(await reachOf(path, now, "notes"), { highest: 7, isUntouched: false })
    await told(path)
    assert.deepEqual(await untold(path), NOTHING)
  })

  test("of a switch before it is told in any case", async () => {
    // The log was written to between the two.
    const earlier = ofNotes("earlier", 5, "1 2")
    const { path, now } = await started(earlier)
    assert.deepEqual(await untold(path), earlier)
    assert.deepEqual(await reachOf(path, earlier, "notes"), { highest: 5, isUntouched: false })
    assert.deepEqual(
      together(lossesOf(earlier), [...lossesOf(now), ...lossesOf(earlier)]).map(({ reason }) => reason),
      ["now", "earlier"]
    )
  })

  test("is said to be lost where the note is damaged", async () => {
    const { path } = await started(NOTHING)
    const [note] = (await readdir(path)).filter((name) => name.startsWith("losses"))
    await writeFile(join(path, note!), "1 {}")
    assert.deepEqual(
      lossesOf(await untold(path)).map(({ rows, reason }) => [rows, reason]),
      [[undefined, "what a salvage lost that was interrupted cannot be read"]]
    )
  })
})

test("losses of other keys are told each, though they read the same", () => {
  const lossOf = (key: string) => new RowsLost({ collection: "a", rows: 1, keys: [{ key }], reason: "damaged" })
  const told = together([lossOf("x"), lossOf("y")], [lossOf("y")])
  assert.deepEqual(
    told.map(({ keys }) => keys),
    [[{ key: "x" }], [{ key: "y" }]]
  )
})
