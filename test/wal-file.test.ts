/** What a write-ahead log holds, as its bytes say and as SQLite does, and that asking leaves it to whoever writes it. */
import assert from "node:assert/strict"
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import { encodeFrame, numberOf, setNumber } from "../src/core/log/frame.ts"
import { LogFile } from "../src/core/log/log-file.ts"
import { LogReader } from "../src/core/log/log-reader.ts"
import { hasWrites, newerLeft } from "../src/core/log/wal-file.ts"
import { kernels } from "../src/core/native.ts"

const root = await mkdtemp(join(tmpdir(), "sabine-wal-file-"))
after(() => rm(root, { recursive: true }))

let made = 0
const newPath = (): string => {
  const folder = join(root, `${++made}`)
  mkdirSync(folder)
  return join(folder, "records.sqlite")
}

/** A file of version 7, and its write-ahead log after some statements, as a kill leaves them. */
const left = (pageBytes: number, ...statements: ReadonlyArray<string>): string => {
  const path = newPath()
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL; CREATE TABLE rows (a);
    INSERT INTO rows VALUES (0); PRAGMA user_version = 7; PRAGMA wal_checkpoint(TRUNCATE)`)
  for (const statement of statements) db.exec(statement)
  const copy = newPath()
  for (const end of ["", "-wal"]) copyFileSync(path + end, copy + end)
  db.close()
  return copy
}
const INSERT = "INSERT INTO rows VALUES (1)"
const NEWER = "PRAGMA user_version = 99"
const OTHER = "PRAGMA user_version = 50"
/** Starts anew with other salts, over what was there. */
const RESTART = "PRAGMA wal_checkpoint(RESTART)"

/** What versions are asked for: of some of these it is newer, of others not. */
const KNOWN = [0, 7, 49, 50, 98, 99]
const newerThan = (path: string): ReadonlyArray<number | undefined> => KNOWN.map((known) => newerLeft(path, known))
/** The same of a version that SQLite finds. */
const isNewerThan = (version: number): ReadonlyArray<number | undefined> =>
  KNOWN.map((known) => (version > known ? version : undefined))
/** The same of SQLite, which moves the log into the file. */
const versionOf = (path: string): unknown => {
  const db = new DatabaseSync(path)
  const version = db.prepare("PRAGMA user_version").get()?.["user_version"]
  db.close()
  return version
}
const agrees = (path: string, writes: boolean, version: number): void => {
  assert.equal(hasWrites(path), writes)
  assert.deepEqual(newerThan(path), isNewerThan(version))
  assert.equal(versionOf(path), version)
}

describe("a write-ahead log by its bytes", () => {
  for (const pageBytes of [512, 4096, 65_536]) {
    test(`that has a first page, none, or several, in pages of ${pageBytes} bytes`, () => {
      agrees(left(pageBytes), false, 7)
      agrees(left(pageBytes, INSERT), true, 7)
      agrees(left(pageBytes, NEWER), true, 99)
      agrees(left(pageBytes, NEWER, INSERT), true, 99)
      agrees(left(pageBytes, NEWER, OTHER, INSERT), true, 50)
    })
  }

  test("that has a newer version behind many pages that have none", () => {
    const most = "INSERT INTO rows VALUES (zeroblob(1 << 20))"
    agrees(left(4096, most, NEWER), true, 99)
    agrees(left(4096, most, NEWER, most, OTHER, INSERT), true, 50)
  })

  test("that began anew over what was there", () => {
    agrees(left(4096, INSERT, NEWER, RESTART, INSERT), true, 99)
    agrees(left(4096, INSERT, NEWER, RESTART, OTHER), true, 50)
  })

  test("that is not there, empty, zeros, a header alone or no log", () => {
    const path = left(4096, NEWER)
    const wal = readFileSync(`${path}-wal`)
    for (const bytes of [
      undefined,
      Buffer.alloc(0),
      Buffer.alloc(1 << 16),
      wal.subarray(0, 32),
      Buffer.alloc(1 << 16, "x")
    ]) {
      const copy = newPath()
      copyFileSync(path, copy)
      if (bytes !== undefined) writeFileSync(`${copy}-wal`, bytes)
      agrees(copy, false, 7)
    }
    const none = newPath()
    const isNothing = (): void => {
      assert.equal(hasWrites(none), false)
      assert.deepEqual(newerThan(none), isNewerThan(0))
    }
    isNothing()
    writeFileSync(none, "no database, and long enough to have a version at its place".padEnd(4096, "x"))
    isNothing()
  })

  test("that is torn or damaged anywhere holds what SQLite finds in it", () => {
    const path = left(512, INSERT, OTHER, INSERT, NEWER, INSERT)
    const wal = readFileSync(`${path}-wal`)
    const versions = new Set<unknown>()
    for (let at = 0; at <= wal.length; at += 67) {
      for (const bytes of [wal.subarray(0, at), Buffer.from(wal)]) {
        if (bytes.length === wal.length && at < wal.length) bytes[at]! ^= 0x10
        const copy = newPath()
        copyFileSync(path, copy)
        writeFileSync(`${copy}-wal`, bytes)
        const newer = newerThan(copy)
        versions.add(newer[0])
        assert.deepEqual(newer, isNewerThan(Number(versionOf(copy))), `${at}`)
      }
    }
    assert.deepEqual([...versions].sort(), [50, 7, 99])
  })
})

describe("a log that somebody writes", () => {
  const append = (log: LogFile, number: number): void => {
    const frame = encodeFrame({ operation: "put", keys: [`k${number}`], payloads: [undefined] })
    setNumber(frame, { number, previous: number - 1, collection: 1 })
    log.append([frame])
  }
  const HEADER = 32
  for (const [what, bytes] of [
    ["zeros", 1 << 16],
    ["nothing", 0],
    ["half a header", HEADER / 2]
  ] as const) {
    test(`keeps its write-ahead log of ${what} when it is opened again, and what is written to it then`, () => {
      const path = newPath()
      const log = new LogFile(kernels, path, false)
      log.create("notes", "{}")
      append(log, 1)
      while (log.compact());
      writeFileSync(`${path}-wal`, new Uint8Array(bytes))
      const { ino } = statSync(`${path}-wal`)
      assert.throws(() => new LogFile(kernels, path, false), /locked/)
      const reader = new LogReader(kernels, path)
      reader.close()
      assert.equal(statSync(`${path}-wal`).ino, ino)
      append(log, 2)
      const copy = newPath()
      for (const end of ["", "-wal"]) copyFileSync(path + end, copy + end)
      assert.ok(existsSync(`${copy}-wal`))
      const again = new LogFile(kernels, copy, false)
      const numbers = again.frames(1, 0, Number.MAX_SAFE_INTEGER).map((frame) => numberOf(frame).number)
      assert.deepEqual(numbers, [1, 2])
      again.close()
      log.close()
    })
  }
})
