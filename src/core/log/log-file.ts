/**
 * The log of a database: one SQLite file, written by the storage worker alone.
 *
 * A commit is one transaction, flushed before it returns unless `relaxed`. Every row has a CRC32C of its own, checked
 * when it is read, because SQLite returns flipped bits silently; frames name the one before them, so that a lost one is
 * noticed.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type { Kernels } from "../kernels/contract.ts"
import { Acknowledged } from "./acknowledged.ts"
import { type CleanLog, mark, unmark } from "./clean.ts"
import { decodeFrame, encodeFrame, type Frame, numberOf, setNumber } from "./frame.ts"
import { versionOf } from "./read-only.ts"
import { type LoggedCollection, MIGRATIONS, type RestoredCollection, SCHEMA_VERSION } from "./schema.ts"
import { newerLeft } from "./wal-file.ts"
import { WalRoom } from "./wal-room.ts"

/** The way of `auto_vacuum` that gives free pages back when it is told to. */
const INCREMENTAL = 2
/** Pages of the write-ahead log before they are moved into the file: 16 MiB. */
const CHECKPOINT_PAGES = 4096
/** Bytes that a page takes there, and pages that a commit writes besides those of its rows. */
const [PAGE_BYTES, COMMIT_PAGES] = [4120, 3]
/** Frames that are folded in one transaction, fewer where they have this many entries: writes wait for no longer. */
const FOLD_FRAMES = 64
const FOLD_ENTRIES = 1024
/** Free pages that are given back to the system with them: 16 MiB. */
const VACUUM_PAGES = 4096
/** Those that are given back at once when the file is compacted: writes wait for no longer. */
const COMPACTED_PAGES = 1024

/** Damage that was found in the log. */
export class LogDamage extends Error {}

export interface CollectionRow {
  readonly id: number
  readonly name: string
  readonly shape: string
  readonly folded: number
  readonly crc: number
}

/** The checksum of what a row says of its collection. */
export const describeCollection = (
  kernels: Pick<Kernels, "crc32c">,
  { id, name, shape, folded }: Omit<CollectionRow, "crc">
): number => kernels.crc32c(Buffer.from(JSON.stringify([id, name, shape, folded])))

interface FrameRow {
  readonly number: number
  readonly crc: number
  readonly frame: Uint8Array
}

/** Fails for a file of a newer version, of which nothing has been touched yet. */
const refuseNewer = (version = 0): void => {
  if (version > SCHEMA_VERSION) {
    throw new LogDamage(`its version ${version} is newer than ${SCHEMA_VERSION}, the newest known`)
  }
}

/** Bytes of the write-ahead log that a commit of frames takes, at most: rows fill at least half of a page. */
const walBytes = (frames: ReadonlyArray<Uint8Array>): number =>
  frames.reduce((bytes, { length }) => bytes + 2 * length, COMMIT_PAGES * PAGE_BYTES)

export class LogFile {
  readonly #kernels: Pick<Kernels, "crc32c">
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #relaxed: boolean
  readonly #acknowledged: Acknowledged
  /** Absent where nobody waits for flushes. */
  readonly #room: WalRoom | undefined
  /** Whether the numbers of who writes are known to go on from those of the file. */
  #isFollowed = false

  constructor(kernels: Pick<Kernels, "crc32c">, path: string, relaxed: boolean) {
    this.#kernels = kernels
    this.#path = path
    this.#relaxed = relaxed
    this.#acknowledged = new Acknowledged(kernels, path)
    this.#room = relaxed ? undefined : new WalRoom(path, CHECKPOINT_PAGES * PAGE_BYTES)
    // Whoever may write moves a write-ahead log into the file by closing it.
    refuseNewer(newerLeft(path, SCHEMA_VERSION))
    this.#db = new DatabaseSync(path)
    try {
      // Before anything is read: then SQLite keeps the index of its write-ahead log in memory, and a full disk opens.
      this.#db.exec("PRAGMA locking_mode = EXCLUSIVE")
      const version = versionOf(this.#db)
      refuseNewer(version)
      unmark(path)
      const { auto_vacuum: vacuums } = this.#get("PRAGMA auto_vacuum") as { readonly auto_vacuum: number }
      // To say it again would be a write.
      if (vacuums !== INCREMENTAL) this.#db.exec(`PRAGMA auto_vacuum = ${INCREMENTAL}`)
      this.#db.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = ${relaxed ? "NORMAL" : "FULL"};
        PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
        PRAGMA cell_size_check = ON;
        PRAGMA trusted_schema = OFF;`)
      this.#migrate(version)
      // Where the file could not be opened to be written, SQLite opened it to be read and says so to writes alone.
      this.#transaction(() => undefined)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** Names of the collections. */
  names(): ReadonlyArray<string> {
    return (this.#all("SELECT name FROM collections ORDER BY name") as unknown as ReadonlyArray<CollectionRow>).map(
      ({ name }) => name
    )
  }

  /** A collection by name; undefined when there is none. */
  collection(name: string): LoggedCollection | undefined {
    const row = this.#get("SELECT * FROM collections WHERE name = ?", name) as CollectionRow | undefined
    if (row === undefined) return undefined
    if (row.crc !== describeCollection(this.#kernels, row)) throw new LogDamage(`what collection ${name} is`)
    const { last } = this.#get(
      "SELECT coalesce(max(number), 0) AS last FROM log WHERE collection = ?",
      row.id
    ) as unknown as { readonly last: number }
    return { id: row.id, shape: row.shape, folded: row.folded, last }
  }

  /** Makes a collection. */
  create(name: string, shape: string): LoggedCollection {
    const { id } = this.#get("SELECT coalesce(max(id), 0) + 1 AS id FROM collections") as { readonly id: number }
    this.#setCollection({ id, name, shape, folded: 0, crc: 0 })
    return { id, shape, folded: 0, last: 0 }
  }

  /** Highest number that any frame is known to have had; fails when that frame is neither in the log nor folded. */
  highest(): number {
    const highest = Math.max(this.#given(), this.#acknowledged.read())
    const { last } = this.#get(
      "SELECT max(coalesce((SELECT max(number) FROM log), 0), coalesce((SELECT max(folded) FROM collections), 0)) AS last"
    ) as { readonly last: number }
    if (last !== highest) throw new LogDamage(`its newest frame is ${last} instead of ${highest}`)
    return highest
  }

  /**
   * Fails where frames have numbers beyond the last that its writer knows of. Who opened a folder by the mark of its log
   * has not read the log: where the lock did not keep others out, as between containers, they may have written since. A
   * number that they gave is not given again, and no image takes the place of theirs.
   */
  follows(last: number): void {
    if (this.#isFollowed) return
    const given = this.#given()
    if (given > last) throw new LogDamage(`somebody else wrote frames up to ${given} since it was opened`)
    this.#isFollowed = true
  }

  /** Writes frames, all or none. */
  append(frames: ReadonlyArray<Uint8Array>): void {
    if (frames.length > 0 && !this.#isFollowed) {
      this.highest()
      this.follows(numberOf(frames[0]!).number - 1)
    }
    this.#transaction(() => {
      for (const frame of frames) {
        const { number, collection } = numberOf(frame)
        this.#run("INSERT INTO log VALUES (?, ?, ?, ?)", number, collection, this.#kernels.crc32c(frame), frame)
      }
    }, walBytes(frames))
    const newest = frames.at(-1)
    if (newest !== undefined) this.#acknowledged.note(numberOf(newest).number, !this.#relaxed)
  }

  /** Whether a frame was written, by a thread that has ended since: from then on it is as durable as it was to be. */
  has(number: number): boolean {
    if (this.#given() < number) return false
    if (!this.#relaxed) this.flush()
    this.#acknowledged.note(number, !this.#relaxed)
    return true
  }

  /** The next frames of a collection after `number`, some `bytes` of them; none at the end. */
  frames(collection: number, number: number, bytes: number): ReadonlyArray<Uint8Array> {
    const found: Array<Uint8Array> = []
    let total = 0
    const rows = this.#statement(
      "SELECT number, crc, frame FROM log WHERE collection = ? AND number > ? ORDER BY number"
    ).iterate(collection, number) as unknown as Iterable<FrameRow>
    for (const row of rows) {
      found.push(this.#checkedFrame(row, collection))
      total += row.frame.length
      if (total >= bytes) break
    }
    return found
  }

  /**
   * Moves keys, payloads and fields of the next frames up to `number` out of the log into the table of entries, where
   * they stand without vectors; whether there is more to move.
   */
  fold(name: string, number: number): boolean {
    const { id } = this.collection(name)!
    const more = this.#transaction(() => {
      const rows = this.#statement(
        `SELECT number, crc, frame FROM log WHERE collection = ? AND number <= ? ORDER BY number LIMIT ${FOLD_FRAMES}`
      ).iterate(id, number) as unknown as Iterable<FrameRow>
      let last: number | undefined
      let frames = 0
      let entries = 0
      for (const row of rows) {
        const frame = decodeFrame(this.#checkedFrame(row, id))
        this.#foldFrame(id, frame)
        last = row.number
        frames++
        entries += frame.keys.length
        if (entries >= FOLD_ENTRIES) break
      }
      if (last === undefined) return false
      this.#run("DELETE FROM log WHERE collection = ? AND number <= ?", id, last)
      const row = this.#get("SELECT * FROM collections WHERE name = ?", name) as unknown as CollectionRow
      this.#setCollection({ ...row, folded: last })
      return frames === FOLD_FRAMES || entries >= FOLD_ENTRIES
    })
    this.#db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`)
    return more
  }

  /** Takes in entries of a collection as folding frames up to `number` would have left them. */
  adopt(name: string, number: number, frames: ReadonlyArray<Uint8Array>): void {
    const row = this.#get("SELECT * FROM collections WHERE name = ?", name) as unknown as CollectionRow
    this.#transaction(() => {
      for (const frame of frames) {
        const { namespace = "", keys } = decodeFrame(frame)
        setNumber(frame, { number: 0, previous: 0, collection: row.id })
        const crc = this.#kernels.crc32c(frame)
        this.#run("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", row.id, namespace, keys[0]!, crc, frame)
      }
      this.#setCollection({ ...row, folded: number })
      // No frame has these numbers again.
      const before = this.#get("SELECT seq FROM sqlite_sequence WHERE name = 'log'") as
        | { readonly seq: number }
        | undefined
      this.#run("DELETE FROM sqlite_sequence")
      this.#run("INSERT INTO sqlite_sequence VALUES ('log', ?)", Math.max(number, before?.seq ?? 0))
    })
  }

  /** Entries that were folded, after `after` in order of their rows: keys, payloads and fields. */
  entries(
    collection: number,
    after: number,
    count: number
  ): ReadonlyArray<{ readonly row: number; readonly frame: Frame }> {
    const rows = this.#all(
      "SELECT rowid AS number, crc, frame FROM entries WHERE collection = ? AND rowid > ? ORDER BY rowid LIMIT ?",
      collection,
      after,
      count
    ) as unknown as ReadonlyArray<FrameRow>
    return rows.map(({ number, crc, frame }) => {
      if (!this.#isIntact(frame, crc)) throw new LogDamage(`entry ${number}`)
      return { row: number, frame: decodeFrame(frame) }
    })
  }

  /**
   * Forgets everything but collections whose images hold all there is of them, and notes which checkpoint has these. Numbers
   * of frames go on from those that the images know of.
   */
  restore(checkpoint: string, collections: ReadonlyArray<RestoredCollection>): void {
    const highest = collections.reduce((most, { folded }) => Math.max(most, folded), 0)
    this.#acknowledged.forget()
    this.#transaction(() => {
      for (const table of ["log", "entries", "collections", "restoring"]) this.#run(`DELETE FROM ${table}`)
      for (const [i, collection] of collections.entries()) this.#setCollection({ ...collection, id: i + 1, crc: 0 })
      this.#run("DELETE FROM sqlite_sequence WHERE name = 'log'")
      this.#run("INSERT INTO sqlite_sequence VALUES ('log', ?)", highest)
      this.#run("INSERT INTO restoring VALUES (?, ?)", checkpoint, this.#kernels.crc32c(Buffer.from(checkpoint)))
    })
  }

  /** The checkpoint whose images are yet to be put in place; undefined for none. */
  restoring(): string | undefined {
    const row = this.#get("SELECT * FROM restoring") as
      | { readonly checkpoint: string | null; readonly crc: number }
      | undefined
    if (row === undefined) return undefined
    const { checkpoint, crc } = row
    // Where pages have changed places, rows of one table come as those of another.
    if (typeof checkpoint !== "string" || this.#kernels.crc32c(Buffer.from(checkpoint)) !== crc) {
      throw new LogDamage("which checkpoint was restored")
    }
    return checkpoint
  }

  /** They are in place. */
  restored(): void {
    this.#run("DELETE FROM restoring")
  }

  /** Moves the write-ahead log into the file, both flushed. */
  flush(): void {
    this.#db.exec("PRAGMA wal_checkpoint(FULL)")
  }

  /** Gives some free pages back to the system; once none is left, the write-ahead log too. Whether there is more. */
  compact(): boolean {
    this.#db.exec(`PRAGMA incremental_vacuum(${COMPACTED_PAGES})`)
    const { freelist_count: free } = this.#get("PRAGMA freelist_count") as { readonly freelist_count: number }
    if (free === 0) {
      this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      this.#room?.emptied()
    }
    return free > 0
  }

  /** What SQLite finds wrong with the structure of the file; undefined for nothing. */
  check(): string | undefined {
    const [row] = this.#all("PRAGMA quick_check(1)") as ReadonlyArray<{ readonly quick_check: string }>
    return row?.quick_check === "ok" ? undefined : row?.quick_check
  }

  /** Closes the file and marks it as closed in order, unless the next opening has something to finish. */
  close(): void {
    let clean: CleanLog | undefined
    try {
      const collections = this.names().map((name) => ({ name, ...this.collection(name)! }))
      if (this.restoring() === undefined) clean = { highest: this.highest(), collections }
    } finally {
      this.#statements.clear()
      this.#db.close()
      this.#acknowledged.close()
    }
    if (clean === undefined) return
    mark(this.#kernels, this.#path, clean)
    this.#acknowledged.remove()
  }

  /** Highest number that a row was given. */
  #given(): number {
    const row = this.#get("SELECT seq FROM sqlite_sequence WHERE name = 'log'") as { readonly seq: number } | undefined
    return row?.seq ?? 0
  }

  #migrate(version: number): void {
    if (version === SCHEMA_VERSION) return
    this.#transaction(() =>
      this.#db.exec(`${MIGRATIONS.slice(version).join("")} PRAGMA user_version = ${SCHEMA_VERSION};`)
    )
  }

  #foldFrame(collection: number, { operation, namespace, keys, payloads, fields }: Frame): void {
    const scope = namespace ?? ""
    for (const [i, key] of keys.entries()) {
      if (operation === "delete") {
        this.#run("DELETE FROM entries WHERE collection = ? AND namespace = ? AND key = ?", collection, scope, key)
        continue
      }
      const before = operation === "patch" ? this.#entry(collection, scope, key) : undefined
      const payload = payloads === undefined ? before?.payloads?.[0] : payloads[i]
      const own = fields && Object.fromEntries(Object.entries(fields).map(([name, values]) => [name, [values[i]!]]))
      const frame = encodeFrame({
        operation: "put",
        namespace,
        keys: [key],
        payloads: [payload],
        fields: own ?? before?.fields
      })
      setNumber(frame, { number: 0, previous: 0, collection })
      this.#run(
        `INSERT INTO entries VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET crc = excluded.crc, frame = excluded.frame`,
        collection,
        scope,
        key,
        this.#kernels.crc32c(frame),
        frame
      )
    }
  }

  #entry(collection: number, scope: string, key: string): Frame | undefined {
    const row = this.#get(
      "SELECT rowid AS number, crc, frame FROM entries WHERE collection = ? AND namespace = ? AND key = ?",
      collection,
      scope,
      key
    ) as FrameRow | undefined
    if (row !== undefined && !this.#isIntact(row.frame, row.crc)) throw new LogDamage(`entry ${row.number}`)
    return row && decodeFrame(row.frame)
  }

  #checkedFrame({ number, crc, frame }: FrameRow, collection: number): Uint8Array {
    if (!this.#isIntact(frame, crc)) throw new LogDamage(`frame ${number}`)
    const found = numberOf(frame)
    if (found.number !== number || found.collection !== collection) throw new LogDamage(`the place of frame ${number}`)
    return frame
  }

  /** Damage can make anything of a row, a frame that is none included. */
  #isIntact(frame: unknown, crc: number): boolean {
    return frame instanceof Uint8Array && this.#kernels.crc32c(frame) === crc
  }

  #setCollection(row: CollectionRow): void {
    const { id, name, shape, folded } = row
    this.#run(
      "INSERT OR REPLACE INTO collections VALUES (?, ?, ?, ?, ?)",
      id,
      name,
      shape,
      folded,
      describeCollection(this.#kernels, row)
    )
  }

  /** `bytes` that it writes to the write-ahead log, where that can be told. */
  #transaction<A>(work: () => A, bytes?: number): A {
    this.#room?.reserve(bytes)
    this.#run("BEGIN IMMEDIATE")
    try {
      const result = work()
      this.#run("COMMIT")
      return result
    } catch (error) {
      // Some failures have rolled back already.
      if (this.#db.isTransaction) this.#run("ROLLBACK")
      throw error
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const made = this.#db.prepare(sql)
    this.#statements.set(sql, made)
    return made
  }

  #get(sql: string, ...values: ReadonlyArray<string | number>): unknown {
    return this.#statement(sql).get(...values)
  }

  #all(sql: string, ...values: ReadonlyArray<string | number>): ReadonlyArray<unknown> {
    return this.#statement(sql).all(...values)
  }

  #run(sql: string, ...values: ReadonlyArray<string | number | Uint8Array>): void {
    this.#statement(sql).run(...values)
  }
}
