/** Locks of folders whose holders have ended: many find it so at the same moment, and one has the folder. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { Worker } from "node:worker_threads"
import { open } from "../src/index.ts"
import { program } from "./programs.ts"

const THREADS = 6
const ROUNDS = 60

const folder = await mkdtemp(join(tmpdir(), "sabine-lock-"))
after(() => rm(folder, { recursive: true }))
const locks = async (): Promise<ReadonlyArray<string>> =>
  (await readdir(folder)).filter((name) => name.startsWith("lock"))

/** What a process that has ended left: `word` makes it another each time. */
const { pid } = spawnSync(process.execPath, ["--eval", ""])
const leftBy = (word: string) => `${pid} a-boot 0 0 ${pid} ${word}\n`

describe("a lock that was left", () => {
  test("is given to one of those that find it at once", async (t) => {
    const racers = Array.from({ length: THREADS }, () => new Worker(new URL("./lock-racer.ts", import.meta.url)))
    t.after(() => Promise.all(racers.map((racer) => racer.terminate())))
    const answers = () => Promise.all(racers.map(async (racer) => (await once(racer, "message"))[0] as string))
    for (let round = 0; round < ROUNDS; round++) {
      await writeFile(join(folder, "lock"), leftBy(`round-${round}`))
      const answered = answers()
      for (const racer of racers) racer.postMessage(folder)
      const said = await answered
      const locked = racers.filter((_, i) => said[i] === "locked")
      assert.equal(locked.length, 1, `round ${round}: ${said}`)
      assert.ok(
        said.every((answer) => answer === "locked" || answer === "FolderLocked"),
        said.join()
      )
      assert.deepEqual(await locks(), ["lock"])
      const released = once(locked[0]!, "message")
      locked[0]!.postMessage(undefined)
      assert.deepEqual(await released, ["released"])
      assert.deepEqual(await locks(), [])
    }
  })

  test("and that one which ended before it had it meant to have, is had by the next", async () => {
    const [first, second] = [leftBy("first"), leftBy("second")]
    const following = (text: string) => `lock.${createHash("sha256").update(text).digest("hex").slice(0, 32)}`
    await writeFile(join(folder, "lock"), first)
    await writeFile(join(folder, following(first)), second)
    await writeFile(join(folder, "lock.1e7f-aside"), "")
    await writeFile(join(folder, "lock.1e7f"), "")
    const db = await open(folder)
    assert.deepEqual(await locks(), ["lock", "lock.1e7f-aside"])
    await rm(join(folder, "lock.1e7f-aside"))
    await db.close()
    assert.deepEqual(await locks(), [])
  })
})

test("a lock that somebody else made meanwhile stays theirs, when one closes and when one ends", async () => {
  const path = join(folder, "lock")
  const db = await open(folder)
  await rm(path)
  await writeFile(path, leftBy("close"))
  await db.close()
  assert.equal(await readFile(path, "utf8"), leftBy("close"))
  await program(`
    import { rmSync, writeFileSync } from "node:fs"
    import { open } from SABINE
    await open(${JSON.stringify(folder)})
    rmSync(${JSON.stringify(path)})
    writeFileSync(${JSON.stringify(path)}, ${JSON.stringify(leftBy("exit"))})
    process.exit()
  `)
  assert.equal(await readFile(path, "utf8"), leftBy("exit"))
})
