/** Room ahead in the write-ahead log: commits do not make the file longer one by one, and zeros are no part of the log. */
import assert from "node:assert/strict"
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { encodeFrame, numberOf, setNumber } from "../src/core/log/frame.ts"
import { LogFile } from "../src/core/log/log-file.ts"
import { WalRoom } from "../src/core/log/wal-room.ts"
import { kernels } from "../src/core/native.ts"

const COMMITS = 300
/** Times that the file may grow for them. */
const GROWTHS = 30
const COMPONENTS = 384
/** Room that is made at the beginning, and what a commit may write beyond what it was expected to. */
const [MOST_ROOM, FEW_PAGES] = [1 << 17, 1 << 16]

const root = await mkdtemp(join(tmpdir(), "sabine-wal-room-"))
after(() => rm(root, { recursive: true }))

const pathIn = (name: string): string => {
  mkdirSync(join(root, name))
  return join(root, name, "records.sqlite")
}
const walOf = (path: string): number => (existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0)

/** Bytes up to the zeros at its end. */
const writtenOf = (path: string): number => {
  const bytes = readFileSync(`${path}-wal`)
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === 0) length--
  return length
}

/** Appends frames one by one; how often the write-ahead log became longer. */
const growths = (log: LogFile, path: string, from: number, commits: number, components = COMPONENTS): number => {
  let grown = 0
  for (let number = from + 1; number <= from + commits; number++) {
    const before = walOf(path)
    const vectors = new Float32Array(components).fill(number)
    const frame = encodeFrame({ operation: "put", keys: [`k${number}`], payloads: [undefined], vectors })
    setNumber(frame, { number, previous: number - 1, collection: 1 })
    log.append([frame])
    if (walOf(path) > before) grown++
  }
  return grown
}
const numbersIn = (log: LogFile): ReadonlyArray<number> =>
  log.frames(1, 0, Number.MAX_SAFE_INTEGER).map((frame) => numberOf(frame).number)
const upTo = (last: number): ReadonlyArray<number> => Array.from({ length: last }, (_, i) => i + 1)

describe("room in the write-ahead log", () => {
  test("commits that are flushed find room, and one that a crash left is read to its end", () => {
    const path = pathIn("full")
    const log = new LogFile(kernels, path, false)
    log.create("notes", "{}")
    const grown = growths(log, path, 0, COMMITS)
    assert.ok(grown > 0 && grown <= GROWTHS, `${grown}`)
    const copy = pathIn("crashed")
    for (const end of ["", "-wal"]) copyFileSync(path + end, copy + end)
    const again = new LogFile(kernels, copy, false)
    assert.deepEqual(numbersIn(again), upTo(COMMITS))
    const more = growths(again, copy, COMMITS, COMMITS)
    assert.ok(more <= GROWTHS, `${more}`)
    assert.deepEqual(numbersIn(again), upTo(2 * COMMITS))
    again.close()
    log.close()
    assert.equal(walOf(path), 0)
  })

  test("is made again after the log was emptied", () => {
    const path = pathIn("emptied")
    const log = new LogFile(kernels, path, false)
    log.create("notes", "{}")
    growths(log, path, 0, COMMITS)
    while (log.compact());
    assert.equal(walOf(path), 0)
    const grown = growths(log, path, COMMITS, COMMITS)
    assert.ok(grown > 0 && grown <= GROWTHS, `${grown}`)
    log.close()
  })

  test("stays within what was written, whatever moves out of the log between", () => {
    const path = pathIn("folded")
    const log = new LogFile(kernels, path, false)
    log.create("notes", "{}")
    const [rounds, commits] = [40, 3]
    for (let round = 0; round < rounds; round++) {
      growths(log, path, round * commits, commits, 4)
      log.fold("notes", (round + 1) * commits)
      const bytes = walOf(path)
      const written = writtenOf(path)
      assert.ok(bytes <= Math.max(MOST_ROOM, 2 * written) + FEW_PAGES, `${bytes} for ${written}`)
    }
    log.close()
  })

  test("makes the file no longer than its limit", () => {
    const path = pathIn("limit")
    const [bytes, limit] = [90_000, 100_000]
    writeFileSync(`${path}-wal`, new Uint8Array(bytes))
    const room = new WalRoom(path, limit)
    for (let i = 0; i < 10; i++) room.reserve(bytes + i)
    assert.equal(walOf(path), limit)
  })

  test("is not made where nobody waits for flushes", () => {
    const path = pathIn("relaxed")
    const log = new LogFile(kernels, path, true)
    log.create("notes", "{}")
    assert.ok(growths(log, path, 0, COMMITS) > COMMITS / 2)
    log.close()
  })

  test("a log that ends before its first page is what the file holds", () => {
    const path = pathIn("zeros")
    const log = new LogFile(kernels, path, false)
    log.create("notes", "{}")
    growths(log, path, 0, COMMITS)
    log.close()
    writeFileSync(`${path}-wal`, new Uint8Array(1 << 16))
    const again = new LogFile(kernels, path, false)
    assert.deepEqual(numbersIn(again), upTo(COMMITS))
    growths(again, path, COMMITS, COMMITS)
    assert.deepEqual(numbersIn(again), upTo(2 * COMMITS))
    again.close()
  })
})
