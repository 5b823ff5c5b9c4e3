/** A disk that is full in earnest: what is refused leaves nothing, what was acknowledged stays, and room makes it go on. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { appendFile, mkdtemp, rm, stat, statfs } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { encodeFrame, setNumber } from "../../src/core/log/frame.ts"
import { LogFile } from "../../src/core/log/log-file.ts"
import { kernels } from "../../src/core/native.ts"
import { type Collection, isSabineError, open } from "../../src/index.ts"

const DISK_MIB = 40
const DIMENSIONS = 64
const OPTIONS = { dimensions: DIMENSIONS, index: "none" } as const
const FIRST_ENTRIES = 2000
const ENTRIES = 2500
const WRITES = 150
/** Bytes that are left each time: room for an image and no checkpoint, for a part of an image, for no write at all. */
const LEFT = [3_000_000, 700_000, 4096, 0]
const LOCK_BYTES = 4096

/** A file system of its own, and what takes it away; undefined where none may be made. */
const mounted = async (): Promise<{ readonly path: string; readonly unmount: () => Promise<void> } | undefined> => {
  const path = await mkdtemp(join(tmpdir(), "sabine-full-"))
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", path])
  const unmount = async () => {
    if (status === 0) spawnSync("umount", [path])
    await rm(path, { recursive: true })
  }
  if (status === 0) return { path, unmount }
  await unmount()
  return undefined
}

test("a full disk refuses, keeps what it acknowledged, opens, and goes on once there is room", async (t) => {
  const disk = await mounted()
  if (disk === undefined) return t.skip("no file system may be mounted")
  t.after(disk.unmount)
  const path = join(disk.path, "data")
  const filler = join(disk.path, "filler")
  const fill = async (left: number): Promise<void> => {
    const { bavail, bsize } = await statfs(disk.path)
    await appendFile(filler, new Uint8Array(Math.max(0, bavail * bsize - left)))
  }
  let db = await open(path, { threads: 1 })
  let collection: Collection = await db.collection("rows", OPTIONS)
  const known = new Map<string, number>()
  const refused = new Map<string, number>()
  const succeeds = async (what: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      assert.ok(isSabineError(error) && error._tag === "StorageFailure" && error.code === "ENOSPC", String(error))
      refused.set(what, (refused.get(what) ?? 0) + 1)
      return false
    }
  }
  let version = 0
  const write = async (): Promise<void> => {
    const [key, mine] = [`k${version % ENTRIES}`, ++version]
    const vector = Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(mine + i))
    const entry = { key, vector, payload: { mine, text: "x".repeat(500) } }
    const work = () => (known.has(key) ? collection.update(entry) : collection.add(entry))
    if (await succeeds("write", work)) known.set(key, mine)
  }
  const check = async (): Promise<void> => {
    const found = new Map<string, number>()
    for await (const { key, payload } of collection.entries()) found.set(key, (payload as { mine: number }).mine)
    assert.deepEqual([...found].sort(), [...known].sort())
  }
  for (let i = 0; i < FIRST_ENTRIES; i++) await write()
  await db.save()
  for (const [round, left] of LEFT.entries()) {
    await fill(left)
    for (let i = 0; i < WRITES; i++) await write()
    await succeeds("save", () => db.save())
    await succeeds("checkpoint", () => db.checkpoint(`c${round}`))
    await succeeds("compact", () => db.compact())
    await check()
    // Closing has made room; opening needs none but for the lock.
    await db.close()
    await fill(LOCK_BYTES)
    db = await open(path, { threads: 1 })
    collection = await db.collection("rows")
    await check()
    await write()
    await rm(filler)
    const before = new Map(refused)
    for (let i = 0; i < WRITES; i++) await write()
    await db.save()
    for (const { name } of await db.listCheckpoints()) await db.deleteCheckpoint(name)
    await db.compact()
    assert.deepEqual(refused, before, "it goes on")
    await check()
  }
  await db.close()
  t.diagnostic(JSON.stringify({ writes: version, refused: Object.fromEntries(refused) }))
  for (const what of ["write", "save", "checkpoint"]) assert.ok(refused.has(what), what)
})

test("no room is made ahead in the log where little is free, and it is once there is more", async (t) => {
  const [left, few, many] = [900_000, 30, 200]
  const disk = await mounted()
  if (disk === undefined) return t.skip("no file system may be mounted")
  t.after(disk.unmount)
  const path = join(disk.path, "records.sqlite")
  const log = new LogFile(kernels, path, false)
  log.create("notes", "{}")
  let number = 0
  /** How often the write-ahead log becomes longer. */
  const growths = async (commits: number): Promise<number> => {
    let grown = 0
    for (let i = 0; i < commits; i++) {
      const { size } = await stat(`${path}-wal`)
      const vectors = new Float32Array(1000).fill(++number)
      const frame = encodeFrame({ operation: "put", keys: [`k${number}`], payloads: [undefined], vectors })
      setNumber(frame, { number, previous: number - 1, collection: 1 })
      log.append([frame])
      if ((await stat(`${path}-wal`)).size > size) grown++
    }
    return grown
  }
  const filler = join(disk.path, "filler")
  const { bavail, bsize } = await statfs(disk.path)
  await appendFile(filler, new Uint8Array(bavail * bsize - left))
  assert.equal(await growths(few), few)
  await rm(filler)
  const grown = await growths(many)
  assert.ok(grown < many / 2, `${grown}`)
  while (log.compact());
  log.close()
})
