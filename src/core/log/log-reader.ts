/**
 * A log as far as it can be read, whatever is wrong with it: rows whose checksums hold, and what is wrong with the
 * others. Nothing of the file is changed.
 */
import { existsSync, rmSync } from "node:fs"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import type { Kernels } from "../kernels/contract.ts"
import { Acknowledged } from "./acknowledged.ts"
import { decodeFrame, HEAD as FRAME_HEAD, numberOf } from "./frame.ts"
import { type CollectionRow, describeCollection } from "./log-file.ts"
import { openAlone, openWithWal, versionOf } from "./read-only.ts"
import { SCHEMA_VERSION } from "./schema.ts"
import { isDamage } from "./sqlite-errors.ts"
import { hasWrites } from "./wal-file.ts"

/** Complaints of SQLite about the structure of the file that are passed on. */
const COMPLAINTS = 20

/** Rows `from` to `to` of a table that are damaged or cannot be read. */
export interface LogFault {
  readonly table: "collections" | "log" | "entries" | "restoring"
  readonly from: number
  readonly to: number
  readonly reason: string
  /** Collection that a damaged row says it is of; undefined where it cannot be read. */
  readonly collection?: number | undefined
}

/** A collection as an intact row of the log describes it. */
export interface ReadCollection {
  readonly id: number
  readonly name: string
  /** What it was made with, as JSON. */
  readonly shape: string
  /** Highest number of a frame that is in the log no more; 0 for none. */
  readonly folded: number
}

export interface LogSurvey {
  /** Of the tables, and the newest that is known. */
  readonly version: number
  readonly newest: number
  /** What SQLite finds wrong with the structure of the file. */
  readonly complaints: ReadonlyArray<string>
  /** Highest number that any frame is known to have had; undefined when that cannot be read. */
  readonly highest: number | undefined
  readonly collections: ReadonlyArray<ReadCollection>
  readonly faults: ReadonlyArray<LogFault>
}

/** The next rows of a table. */
export interface ReadRows {
  /** Frames whose checksums hold, in order. */
  readonly frames: ReadonlyArray<Uint8Array>
  readonly faults: ReadonlyArray<LogFault>
  /** The row that they end with; undefined at the end of the table. */
  readonly next: number | undefined
}

interface Row {
  readonly number: number
  readonly collection: number
  readonly crc: number
  /** Damage can make anything of it. */
  readonly frame: Uint8Array | null
}

/** Rows in order of their numbers, after one. */
const ROWS = {
  log: "SELECT number, collection, crc, frame FROM log WHERE number > ? ORDER BY number",
  entries: "SELECT rowid AS number, collection, crc, frame FROM entries WHERE rowid > ? ORDER BY rowid",
  collections: "SELECT id AS number, * FROM collections WHERE id > ? ORDER BY id"
}

const INDEXED = `SELECT rowid AS number FROM entries INDEXED BY sqlite_autoindex_entries_1
  WHERE collection = ? AND namespace = ? AND key = ?`

/** The collection of a damaged row, where it says so twice. */
const collectionOf = ({ collection, frame }: Row): number | undefined =>
  frame instanceof Uint8Array && frame.length >= FRAME_HEAD && numberOf(frame).collection === collection
    ? collection
    : undefined

export class LogReader {
  readonly #kernels: Pick<Kernels, "crc32c">
  readonly #path: string
  readonly #db: DatabaseSync
  /** An index of the write-ahead log that reading it makes beside the file, and that goes again. */
  readonly #shared: string | undefined
  #indexed: StatementSync | undefined

  /** Throws what SQLite does where nothing can be read. */
  constructor(kernels: Pick<Kernels, "crc32c">, path: string) {
    this.#kernels = kernels
    this.#path = path
    const isAhead = hasWrites(path)
    this.#shared = isAhead && !existsSync(`${path}-shm`) ? `${path}-shm` : undefined
    this.#db = isAhead ? openWithWal(path) : openAlone(path)
  }

  close(): void {
    this.#db.close()
    if (this.#shared !== undefined) rmSync(this.#shared, { force: true })
  }

  survey(): LogSurvey {
    const faults: Array<LogFault> = []
    const collections: Array<ReadCollection> = []
    const note = (fault: LogFault) => faults.push(fault)
    const version = this.#version
    // Its tables may be others: not to find those of this version is no damage.
    if (version > SCHEMA_VERSION) {
      return { version, newest: SCHEMA_VERSION, complaints: [], highest: undefined, collections, faults }
    }
    for (const row of this.#scan<CollectionRow & { readonly number: number }>("collections", 0, note)) {
      const { id, name, shape, folded, crc } = row
      if (crc === describeCollection(this.#kernels, row)) collections.push({ id, name, shape, folded })
      else note({ table: "collections", from: id, to: id, reason: "its checksum does not hold", collection: id })
    }
    if (this.#restoring()?.isWhole === false) {
      note({ table: "restoring", from: 1, to: 1, reason: "its checksum does not hold" })
    }
    return {
      version,
      newest: SCHEMA_VERSION,
      complaints: this.#complaints(),
      highest: this.#highest(),
      collections,
      faults
    }
  }

  /** Whether images of a checkpoint are yet to be put in place: the others are not those that the log speaks of. */
  isRestoring(): boolean {
    return this.#restoring()?.isWhole === true
  }

  /** The row that says so, and whether it is one of its table. */
  #restoring(): { readonly isWhole: boolean } | undefined {
    if (this.#version < 2) return undefined
    const row = this.#db.prepare("SELECT checkpoint, crc FROM restoring").get()
    if (row === undefined) return undefined
    const { checkpoint, crc } = row
    return { isWhole: typeof checkpoint === "string" && this.#kernels.crc32c(Buffer.from(checkpoint)) === crc }
  }

  get #version(): number {
    return versionOf(this.#db)
  }

  /** The next rows of a table after `after`, some `bytes` of them. */
  rows(table: "log" | "entries", after: number, bytes: number): ReadRows {
    const frames: Array<Uint8Array> = []
    const faults: Array<LogFault> = []
    let total = 0
    for (const row of this.#scan<Row>(table, after, (fault) => faults.push(fault))) {
      const { number, frame } = row
      const reason = this.#faultOf(table, row)
      if (reason === undefined) frames.push(frame!)
      else faults.push({ table, from: number, to: number, reason, collection: collectionOf(row) })
      total += frame?.length ?? 0
      if (total >= bytes) return { frames, faults, next: number }
    }
    return { frames, faults, next: undefined }
  }

  /** What is wrong with a row; undefined for nothing. */
  #faultOf(table: "log" | "entries", { number, collection, crc, frame }: Row): string | undefined {
    if (!(frame instanceof Uint8Array) || this.#kernels.crc32c(frame) !== crc) return "its checksum does not hold"
    const found = numberOf(frame)
    const isAtHome =
      found.collection === collection && (table === "log" ? found.number === number : this.#isIndexed(number, frame))
    return isAtHome ? undefined : "it is a row of another place"
  }

  /** Whether the index of the entries knows a row by its key too: one from a page that was given up is not in it. */
  #isIndexed(row: number, frame: Uint8Array): boolean {
    const { namespace = "", keys } = decodeFrame(frame)
    try {
      this.#indexed ??= this.#db.prepare(INDEXED)
      const found = this.#indexed.get(numberOf(frame).collection, namespace, keys[0]!)
      return found?.["number"] === row
    } catch (error) {
      if (!isDamage(error, this.#path)) throw error
      return false
    }
  }

  /** Rows after one, and past what cannot be read. */
  *#scan<R extends { readonly number: number }>(
    table: keyof typeof ROWS,
    after: number,
    note: (fault: LogFault) => void
  ): Generator<R> {
    for (let at: number | undefined = after; at !== undefined; ) {
      try {
        for (const row of this.#db.prepare(ROWS[table]).iterate(at) as unknown as Iterable<R>) {
          // A page in the place of another brings its rows with it.
          if (row.number <= at!) {
            note({ table, from: row.number, to: row.number, reason: "it is a row of another place" })
            continue
          }
          at = row.number
          yield row
        }
        return
      } catch (error) {
        if (!isDamage(error, this.#path)) throw error
        const from = at! + 1
        at = this.#readableAfter(table, from)
        note({ table, from, to: at ?? Number.MAX_SAFE_INTEGER, reason: (error as Error).message })
      }
    }
  }

  /** The lowest number found, `number` or above it, after which rows can be read; undefined when there is none. */
  #readableAfter(table: keyof typeof ROWS, number: number): number | undefined {
    const seek = this.#db.prepare(`${ROWS[table]} LIMIT 1`)
    /** Whether there is a row after one; undefined where that cannot be told. */
    const isRow = (after: number): boolean | undefined => {
      try {
        return seek.get(after) !== undefined
      } catch (error) {
        if (!isDamage(error, this.#path)) throw error
        return undefined
      }
    }
    let unreadable = number - 1
    let found = number
    for (let step = 1; isRow(found) === undefined; step *= 2) {
      unreadable = found
      found += step
      if (found > Number.MAX_SAFE_INTEGER) return undefined
    }
    while (found - unreadable > 1) {
      const middle = unreadable + Math.floor((found - unreadable) / 2)
      if (isRow(middle) === undefined) unreadable = middle
      else found = middle
    }
    return isRow(found) ? found : undefined
  }

  #highest(): number | undefined {
    try {
      const row = this.#db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'log'").get()
      return Math.max(Number(row?.["seq"] ?? 0), new Acknowledged(this.#kernels, this.#path).read())
    } catch (error) {
      if (!isDamage(error, this.#path)) throw error
      return undefined
    }
  }

  /** What SQLite finds; throws where that is a page which the system refused. */
  #check(): ReadonlyArray<string> {
    const rows = this.#db.prepare(`PRAGMA quick_check(${COMPLAINTS})`).all()
    const complaints = rows.map(({ quick_check: text }) => String(text)).filter((text) => text !== "ok")
    for (const text of complaints) {
      for (const [, code] of text.matchAll(/error code=(\d+)/g)) {
        const refused = Object.assign(new Error(text), { errcode: Number(code) })
        if (!isDamage(refused, this.#path)) throw refused
      }
    }
    return complaints
  }

  #complaints(): ReadonlyArray<string> {
    try {
      // A page that the system refused is one more complaint, and others may follow from it: what is damaged is so again.
      return this.#check().length === 0 ? [] : this.#check()
    } catch (error) {
      if (!isDamage(error, this.#path)) throw error
      return [(error as Error).message]
    }
  }
}
