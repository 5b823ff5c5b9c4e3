/**
 * The one writer of a store: slots, live bits, generations, keys and reuse.
 *
 * Order is what keeps readers safe. A slot is written while its live bit is clear, and published
 * by setting the bit; a deleted slot and its record wait in limbo until every reader that could
 * have seen them has finished. Nothing here waits or allocates for a row, but for a new segment.
 */
import { threadId } from "node:worker_threads"
import type { Calibration } from "../calibration.ts"
import { CapacityExceeded } from "../errors.ts"
import type { Encoder } from "../index/encoder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { copyRow, type Place } from "./copy-row.ts"
import { Directory, OWNER } from "./directory.ts"
import { type FieldColumns, rewriteFields, writeFields } from "./fields.ts"
import type { Graph } from "./graph.ts"
import { KeyIndex, tagOf } from "./keys.ts"
import { BLOCK, codeColumns, SLOTS } from "./layout.ts"
import { ListWriter } from "./lists.ts"
import {
  type CodeSet,
  columnsOf,
  type MemoryHandle,
  newCodeColumn,
  newHugeCodeColumn,
  newSegmentBuffers,
  type SearchColumns,
  type Segment,
  type SegmentBuffers,
  type StoreShape,
  searchColumns,
  segmentViews
} from "./memory.ts"
import { logMove, newMoveLog } from "./move-log.ts"
import { RecordWriter } from "./record-writer.ts"
import { MAX_RECORDS_BYTES, type StoredPayload } from "./records.ts"
import { type EncodedKey, keyedRows, NO_NAMESPACE } from "./rows.ts"
import type { Searchable } from "./searchable.ts"
import { Slots } from "./slots.ts"
import { MAX_DICTIONARY_BYTES, TagWriter } from "./tags.ts"

export const MAX_SEGMENTS = 32_767

/** Bytes of one column of all rows: in use below the highest row, and set aside. */
export interface ColumnBytes {
  readonly touched: number
  readonly allocated: number
}

/** Told of every row that comes or goes, whoever writes it, while it can be read. */
export interface RowWatcher {
  /** The row is there, or there again after a change of its fields or record. */
  readonly came: (row: number) => void
  /** The row is about to go, or to be changed. */
  readonly goes: (row: number) => void
}

/** Rows from which on huge pages are asked for: most of the first would be wasted on a small collection. */
const MANY_ROWS = 4096

let stores = 0

export class Store implements Searchable {
  readonly id = `${process.pid}-${threadId}-${++stores}`
  readonly kernels: Kernels
  readonly shape: StoreShape
  readonly directory = new Directory()
  readonly reader = OWNER
  readonly segments: Array<Segment> = []
  readonly records: RecordWriter
  readonly tags: TagWriter
  readonly keys: KeyIndex
  columns: SearchColumns
  codes: CodeSet
  /** Inverted lists of every live row, where there are any. */
  lists: ListWriter | undefined
  /** The graph over the rows, where one was asked for and there are enough of them. */
  graph: Graph | undefined
  /** Replaced, never changed: a handle that is sent later still goes with the codes of its moment. */
  #buffers: ReadonlyArray<SegmentBuffers> = []
  readonly #listeners = new Set<(handle: MemoryHandle) => void>()
  /** Segments that huge pages were asked for. */
  readonly #huge = new WeakSet<Segment>()
  #watchers: ReadonlyArray<RowWatcher> = []
  /** Slots that no row is in. */
  readonly slots = new Slots(this.directory, {
    freeRecord: (address) => this.records.free(address),
    ended: (epoch) => this.lists?.reclaim(epoch)
  })
  readonly moveLog = newMoveLog()
  /** Vectors written into rows since this was made. */
  writes = 0
  /** Those when what was measured was put in force. */
  #measuredAt = 0
  /** Rows that were reserved and are neither published nor given back: their keys will want room. */
  #reserved = 0

  /** `keyTable` is a loaded index of `size` keys; absent for an empty store. */
  constructor(kernels: Kernels, shape: StoreShape, encoder: Encoder, keyTable?: Uint32Array, size?: number) {
    this.kernels = kernels
    this.shape = shape
    this.codes = { version: this.directory.codeSet, encoder, columns: [] }
    this.columns = searchColumns(kernels, { shape, codes: this.codes }, [])
    this.records = new RecordWriter(
      () => this.announce(),
      (memory) => kernels.releasePages(memory)
    )
    this.tags = new TagWriter({
      published: () => this.directory.tags,
      publish: (count) => this.directory.publishTags(count),
      grown: () => this.announce()
    })
    this.keys = new KeyIndex(keyedRows(this), () => this.announce(), keyTable, size)
  }

  /** Which buffers there are, for another thread. */
  handle(): MemoryHandle {
    return {
      id: this.id,
      shape: this.shape,
      growth: this.directory.growth,
      directory: this.directory.buffer,
      segments: this.#buffers,
      codes: this.codes,
      graph: this.graph?.buffers,
      chunks: this.records.buffers,
      tags: this.tags.buffers,
      moveLog: this.moveLog.buffer as SharedArrayBuffer,
      keys: {
        current: this.keys.current.buffer as SharedArrayBuffer,
        previous: this.keys.previous?.buffer as SharedArrayBuffer | undefined
      }
    }
  }

  /** Calls `listener` with each newer handle, before anything new can be found in it. */
  onGrowth(listener: (handle: MemoryHandle) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells `watcher` of rows from now on, until what is returned is called. */
  watch(watcher: RowWatcher): () => void {
    this.#watchers = [...this.#watchers, watcher]
    return () => {
      this.#watchers = this.#watchers.filter((other) => other !== watcher)
    }
  }

  /** Hands new buffers to the other threads. */
  announce(): void {
    const handle = { ...this.handle(), growth: this.directory.growth + 1 }
    for (const listener of this.#listeners) listener(handle)
    this.directory.grown()
  }

  /** Adds segments until there are `count`; they hold no live row. */
  extend(count: number): void {
    if (count > MAX_SEGMENTS) throw new CapacityExceeded({ resource: "rows", limit: MAX_SEGMENTS * SLOTS })
    if (count <= this.segments.length) return
    const missing = { length: count - this.segments.length }
    // Memory may run out at any of these: nothing is in force until all are there.
    const buffers = Array.from(missing, () => newSegmentBuffers(this.shape))
    const columns = Array.from(missing, () => newCodeColumn(this.shape))
    this.graph?.extend(count)
    this.segments.push(...buffers.map((made) => segmentViews(this.kernels, this.shape, made)))
    this.#buffers = [...this.#buffers, ...buffers]
    this.#useCodes({ ...this.codes, columns: [...this.codes.columns, ...columns] })
  }

  /**
   * Asks for huge pages behind the vectors and codes of so many rows, if they are many: scans and faults meet fewer of
   * them.
   */
  useHugePages(rows: number): void {
    const last = this.segments.at(-1)
    if (rows < MANY_ROWS || last === undefined || this.#huge.has(last)) return
    for (const [i, segment] of this.segments.entries()) {
      if (this.#huge.has(segment)) continue
      this.kernels.adviseHugePages(segment.rows.subarray(this.columns.layout.vectorsOffset))
      this.kernels.adviseHugePages(this.columns.codes[i]!)
      this.#huge.add(segment)
    }
  }

  /** A buffer for the codes of a segment, to be put in force with those of all others by `switchCodes`. */
  newCodes(): SharedArrayBuffer {
    return this.directory.rows >= MANY_ROWS ? newHugeCodeColumn(this.kernels, this.shape) : newCodeColumn(this.shape)
  }

  /**
   * Replaces the encoder and every codes buffer at once; in-flight searches see the switch and start again. Lists hold
   * copies of the old codes: they go.
   */
  switchCodes(encoder: Encoder, columns: ReadonlyArray<SharedArrayBuffer>): void {
    this.lists = undefined
    this.#useCodes({ version: this.directory.codeSet + 1, encoder, columns })
    this.directory.switchCodes()
  }

  /** Empty lists around centroids, to be filled and then put in force. */
  newLists(centroids: SharedArrayBuffer): ListWriter {
    const lists = new ListWriter(this, centroids, () => {
      if (this.lists === lists) this.#useCodes({ ...this.codes, lists: lists.buffers })
    })
    return lists
  }

  /** Puts lists that hold every live row in force, in place of those there were. */
  useLists(lists: ListWriter): void {
    this.lists = lists
    this.#useCodes({ ...this.codes, lists: lists.buffers, calibration: undefined })
  }

  /** Goes on without lists, and without what was measured of searches by them. */
  dropLists(): void {
    if (this.lists === undefined) return
    this.lists = undefined
    this.#useCodes({ ...this.codes, lists: undefined, calibration: undefined })
  }

  /** What was measured of the codes and lists in force, and how much was written since; undefined when nothing was. */
  get measured(): Calibration | undefined {
    const { calibration } = this.codes
    const written = (calibration?.written ?? 0) + this.writes - this.#measuredAt
    return calibration === undefined || written === 0 ? calibration : { ...calibration, written }
  }

  /** Puts what was measured of the codes and lists in force behind the plans of searches. */
  useCalibration(calibration: Calibration): void {
    this.#measuredAt = this.writes
    this.#useCodes({ ...this.codes, calibration })
  }

  /**
   * Puts a graph in force, of which any rows may be linked, or none. What was measured of walks is kept only
   * with the graph of an image: it was saved beside it.
   */
  useGraph(graph: Graph | undefined): void {
    graph?.extend(this.segments.length)
    this.graph = graph
    const { calibration } = this.codes
    const isMeasured = graph?.unrestored !== undefined || calibration?.walks === undefined
    this.#useCodes(isMeasured ? this.codes : { ...this.codes, calibration: { ...calibration, walks: undefined } })
  }

  /**
   * Slots for `count` rows, freed ones first, and room for their keys and in lists: what is written next finds memory.
   * They are not live, and nobody else writes them.
   */
  reserve(count: number): Uint32Array {
    this.slots.gather(count)
    this.#changeKeys(() => this.keys.reserve(this.#reserved + count))
    const reused = Math.min(count, this.slots.free)
    const from = this.directory.rows
    this.extend(Math.ceil((from + count - reused) / SLOTS))
    this.lists?.reserve(this.#reserved + count, this.segments.length)
    this.useHugePages(from + count - reused)
    const rows = new Uint32Array(count)
    for (let i = 0; i < reused; i++) {
      rows[i] = this.slots.take()
      this.graph?.unlink(rows[i]!)
    }
    for (let i = reused; i < count; i++) rows[i] = from + i - reused
    this.directory.setRows(from + count - reused)
    this.#reserved += count
    return rows
  }

  /** Gives back slots that were reserved and not published. */
  unreserve(rows: Uint32Array): void {
    for (const row of rows) this.slots.give(row)
    this.#reserved -= rows.length
  }

  /** Takes in slots below the highest row that no row of a loaded image is in. */
  adoptFree(rows: Uint32Array): void {
    for (const row of rows) this.slots.give(row)
  }

  /** Writes the key and payload of a row that is about to be published. */
  writeRecord(key: EncodedKey, payload: StoredPayload): number {
    const address = this.records.append(key.hash, key.bytes, key.length, payload)
    if (address < 0) throw new CapacityExceeded({ resource: "bytes of keys and payloads", limit: MAX_RECORDS_BYTES })
    return address
  }

  /** Puts a written row into its list, where there are lists, before it is published. */
  enlist(row: number, list: number | undefined): void {
    if (list !== undefined) this.lists?.append(row, list)
  }

  /** Code of a tag or of a namespace, which joins the dictionary when it is new. */
  intern(text: string): number {
    const code = this.tags.intern(text)
    if (code < 0) throw new CapacityExceeded({ resource: "bytes of tags and namespaces", limit: MAX_DICTIONARY_BYTES })
    return code
  }

  /** Writes the fields of a row that is about to be published: row `i` of `columns`. */
  writeFields(row: number, columns: FieldColumns, i: number): void {
    writeFields(this.segments[Math.floor(row / SLOTS)]!, row % SLOTS, columns, i)
  }

  /** Gives a live row other fields. */
  replaceFields(row: number, columns: FieldColumns): void {
    this.#goes(row)
    rewriteFields(this.segments[Math.floor(row / SLOTS)]!, row % SLOTS, columns)
    this.#came(row)
    this.directory.countLive(0)
  }

  /**
   * Makes a written row findable: `replaced` is the row that held the key until now, or -1. In a store with fields,
   * `writeFields` comes first.
   */
  publish(row: number, key: EncodedKey, address: number, replaced: number): void {
    const segment = this.segments[Math.floor(row / SLOTS)]!
    const slot = row % SLOTS
    segment.tag[slot] = tagOf(key.hash)
    segment.scope[slot] = key.scope
    segment.records[slot] = address
    if (key.scope !== NO_NAMESPACE) this.directory.setNamespaced()
    if (replaced >= 0) this.#goes(replaced)
    // Who reads the keys' sequence meets the entry in one of its rows, and not in both.
    this.#changeKeys(() => {
      Atomics.or(segment.live, slot >>> 5, 1 << (slot & 31))
      if (replaced < 0) this.keys.insert(key.hash, row)
      else {
        this.keys.replace(key.hash, key.bytes, key.length, row)
        this.#logMove(replaced, row)
        this.#clearLive(replaced)
      }
    })
    this.#reserved--
    this.writes++
    if (replaced >= 0) this.#bury(replaced)
    this.#came(row)
    this.directory.countLive(replaced < 0 ? 1 : 0)
  }

  remove(row: number, key: EncodedKey): void {
    this.#changeKeys(() => this.keys.remove(key.hash, key.bytes, key.length))
    this.#retire(row)
    this.directory.countLive(-1)
  }

  /** Gives a live row another record. */
  replaceRecord(row: number, address: number): void {
    const { records } = this.segments[Math.floor(row / SLOTS)]!
    this.#goes(row)
    const replaced = Atomics.exchange(records, row % SLOTS, address)
    this.#came(row)
    this.directory.countLive(0)
    this.slots.buryRecord(replaced)
  }

  /** Runs `move`, which moves rows, so that other threads see all of it or look again. */
  moving(move: () => void): void {
    this.directory.stepMoves()
    try {
      move()
    } finally {
      this.directory.stepMoves()
    }
  }

  /**
   * Moves a live row to a free slot, within `moving`: what is stored of it stays the same, record included. Nobody else
   * may be about to write the row.
   */
  move(from: number, to: number): void {
    const target = this.#placeOf(to)
    this.#goes(from)
    this.graph?.unlink(to)
    copyRow(this.shape, this.#placeOf(from), target)
    const key = this.records.storedKey(target.segment.records[target.slot]!)
    this.enlist(to, this.lists?.listOf(from))
    Atomics.or(target.segment.live, target.slot >>> 5, 1 << (target.slot & 31))
    this.#changeKeys(() => this.keys.replace(key.hash, key.bytes, key.bytes.length, to))
    this.#logMove(from, to)
    this.#hide(from)
    this.slots.burySlot(from)
    this.#came(to)
    this.directory.countLive(0)
  }

  /** Whether all slots from `bound` on are free and kept back. */
  canCut(bound: number): boolean {
    return this.slots.isBounded && this.slots.kept === this.directory.rows - bound
  }

  /** Gives up the slots from `bound` on, and the graph beyond it; false when some are in use. */
  cut(bound: number): boolean {
    const { rows } = this.directory
    if (!this.canCut(bound)) return false
    this.graph?.cut(bound, rows)
    this.slots.cut()
    this.directory.setRows(bound)
    return true
  }

  find(key: EncodedKey): number {
    return this.keys.find(key.hash, key.bytes, key.length)
  }

  sync(): void {
    // The owner always knows its own memory.
  }

  /** Moves the key index on while it grows; false when there is nothing left to move. */
  stepKeys(): boolean {
    let moving = false
    this.#changeKeys(() => {
      moving = this.keys.step()
    })
    return moving
  }

  /** Exact bytes by column. */
  columnBytes(): Record<string, ColumnBytes> {
    const blocks = Math.ceil(this.directory.rows / BLOCK)
    const slots = this.segments.length * SLOTS
    const columns = [...columnsOf(this.shape), ...codeColumns(this.shape.metric, this.shape.pq)]
    return {
      ...Object.fromEntries(
        columns.map(({ name, blockBytes }) => [
          name,
          { touched: blocks * blockBytes, allocated: (slots / BLOCK) * blockBytes }
        ])
      ),
      lists: this.lists?.bytes ?? { touched: 0, allocated: 0 },
      dictionary: { touched: this.tags.touchedBytes, allocated: this.tags.allocatedBytes },
      graph: this.graph?.bytes(this.directory.rows) ?? { touched: 0, allocated: 0 },
      keys: { touched: this.keys.touchedBytes, allocated: this.keys.touchedBytes },
      records: {
        touched: this.directory.rows * 4 + this.records.touchedBytes,
        allocated: slots * 4 + this.records.allocatedBytes
      }
    }
  }

  #placeOf(row: number): Place {
    const segment = Math.floor(row / SLOTS)
    return { segment: this.segments[segment]!, codes: this.columns.codes[segment]!, slot: row % SLOTS }
  }

  #useCodes(codes: CodeSet): void {
    this.codes = codes
    const { kernels, shape, segments } = this
    this.columns = searchColumns(kernels, { shape, codes, graph: this.graph?.buffers }, segments)
    this.announce()
  }

  #changeKeys(change: () => void): void {
    this.directory.stepKeySequence()
    try {
      change()
    } finally {
      this.directory.stepKeySequence()
    }
  }

  #came(row: number): void {
    for (const { came } of this.#watchers) came(row)
  }

  #goes(row: number): void {
    for (const { goes } of this.#watchers) goes(row)
  }

  #logMove(from: number, to: number): void {
    logMove(this.moveLog, this.directory.moved, from, to)
    this.directory.countMoved()
  }

  #retire(row: number): void {
    this.#goes(row)
    this.#bury(row)
  }

  #bury(row: number): void {
    this.#hide(row)
    this.slots.bury(row, this.segments[Math.floor(row / SLOTS)]!.records[row % SLOTS]!)
  }

  /** Takes a row out of all that it can be found by but the key index. */
  #hide(row: number): void {
    this.#clearLive(row)
    this.lists?.remove(row, this.#reserved)
    this.graph?.bury(row)
  }

  #clearLive(row: number): void {
    const slot = row % SLOTS
    Atomics.and(this.segments[Math.floor(row / SLOTS)]!.live, slot >>> 5, ~(1 << (slot & 31)))
  }
}
