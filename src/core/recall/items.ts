/**
 * The items of a pool in its collection, read where they lie and written through the log.
 *
 * Runs on the thread that owns the collection: a row that is there stays what it is until the turn ends.
 */
import { finite } from "../checked.ts"
import { bytesAnEntry } from "../collection/bytes.ts"
import type { Collection } from "../collection/collection.ts"
import type { FieldInput, FieldValues } from "../collection/fields.ts"
import { insideOf } from "../collection/inside.ts"
import { settled } from "../collection/settled.ts"
import { checkVectors, ownVector } from "../collection/vectors.ts"
import { EmptyEmbedding, InvalidParameter } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive, type Segment } from "../store/memory.ts"
import { addressOf, encodeKey, fieldsOf, isCurrent } from "../store/rows.ts"
import { inGroups } from "./in-groups.ts"
import { OWN_FIELDS } from "./options.ts"
import { payloadOf, spectrumOf, tensorOf } from "./packed.ts"
import type { SpectralFeatures } from "./spectral.ts"
import { liveRows, spread, sweep } from "./sweep.ts"
import { Tally } from "./tally.ts"
import type { OwnTensor } from "./tensor.ts"

/** An item as callers see it. */
export interface RecallItem {
  readonly key: string
  readonly payload: unknown
  /** Absent where it has none. */
  readonly class?: string
  /** -1..1. */
  readonly utility: number
  /** Outcomes that its utility is the mean of. */
  readonly outcomes: number
  /** When it was added, milliseconds. */
  readonly added: number
  /** Fields of the caller's own. */
  readonly fields: FieldValues
  /** Absent without a tensor. */
  readonly spectrum?: SpectralFeatures
}

/** An item that is ready to be written. */
export interface Prepared {
  readonly key: string
  readonly vector: Float32Array
  readonly packed: Uint8Array
  readonly fields: FieldInput
}

/** Least time between two: times in milliseconds have a few more digits. */
const TICK_MS = 0.001

const NO_FIELDS: FieldValues = Object.freeze({})

type OwnField = keyof typeof OWN_FIELDS

export class PoolItems {
  readonly collection: Collection
  readonly #inside: ReturnType<typeof insideOf>
  /** Where each of our own fields is among the columns. */
  readonly #places: Readonly<Record<OwnField, number>>
  /** Whether there are fields beside our own. */
  readonly #hasFields: boolean
  readonly #columnBytes: number
  /** Labels of classes by their code, as they are met. */
  readonly #labels: Array<string | undefined> = []
  readonly #clock: () => number
  #last = 0
  /** Uses beyond this one are not in the log. */
  #keptUse = 0
  readonly tally: Tally
  readonly #unwatch: () => void

  constructor(collection: Collection, clock: () => number) {
    this.collection = collection
    this.#clock = clock
    this.#inside = insideOf(collection)
    const { shape } = this.#inside.store
    const names = Object.keys(shape.fields ?? {})
    const place = (name: OwnField): number => names.indexOf(name)
    this.#places = {
      class: place("class"),
      utility: place("utility"),
      outcomes: place("outcomes"),
      added: place("added"),
      used: place("used")
    }
    for (const [name, type] of Object.entries(OWN_FIELDS)) {
      if (shape.fields?.[name] !== type) {
        throw new InvalidParameter({ parameter: "name", reason: `it is of a collection without the field ${name}` })
      }
    }
    this.#hasFields = names.length > Object.keys(OWN_FIELDS).length
    this.#columnBytes = bytesAnEntry(shape)
    this.tally = new Tally(this)
    this.#unwatch = this.store.watch(this.tally)
  }

  /** Counts what is there. */
  async open(): Promise<void> {
    await this.tally.countAll((row) => {
      this.#last = Math.max(this.#last, this.cameAt(row), this.usedAt(row))
    })
    this.#keptUse = this.#last
  }

  close(): void {
    this.#unwatch()
  }

  /** Runs `work` before the collection ends; returns what takes that back. */
  beforeEnd(work: () => Promise<void>): () => void {
    return this.#inside.isKept ? this.#inside.beforeEnd(work) : () => undefined
  }

  get size(): number {
    return this.#inside.store.directory.live
  }
  get store() {
    return this.#inside.store
  }
  get dimensions(): number {
    return this.store.shape.dimensions
  }

  /** Rows of the items, lowest first, all at once. */
  rows(): Array<number> {
    return [...liveRows(this.store)]
  }

  /** Calls `visit` with every row, lowest first, in shares of the event loop. */
  walk(visit: (row: number) => void, signal?: AbortSignal): Promise<void> {
    return sweep(this.store, visit, { signal })
  }

  /** At most `count` rows spread over all; others for another `from`. */
  spread(count: number, from?: number): ReadonlyArray<number> {
    return spread(this.store, count, from)
  }

  /** Embeddings of at most `count` items spread over all, one after the other. */
  sample(count: number): Float32Array {
    return this.vectorsOf(this.spread(count))
  }

  /** Whether there is an item in a row. */
  has(row: number): boolean {
    const segment = this.store.segments[Math.floor(row / SLOTS)]
    return segment !== undefined && Number.isInteger(row) && isLive(segment, row % SLOTS)
  }

  /** Whether a row still holds what was found in it. */
  isStill(row: number, generation: number): boolean {
    return isCurrent(this.store, row, generation)
  }

  /** The row of a key; -1 when there is none. */
  find(key: string): number {
    const encoded = encodeKey(key)
    return encoded === undefined ? -1 : this.store.find(encoded)
  }

  keyOf(row: number): string {
    return this.store.records.key(addressOf(this.store, row))
  }

  generationOf(row: number): number {
    return this.#segment(row).generation[row % SLOTS]!
  }

  number(row: number, field: Exclude<OwnField, "class">): number {
    return this.#segment(row).fields[this.#places[field]]!.values[row % SLOTS]!
  }

  classOf(row: number): string | undefined {
    const code = this.#segment(row).fields[this.#places.class]!.values[row % SLOTS]!
    if (code === 0) return undefined
    const known = this.#labels[code]
    if (known !== undefined) return known
    const label = this.store.tags.text(code)
    if (label !== undefined) this.#labels[code] = label
    return label
  }

  /** Throws `CollectionReplaced` once a checkpoint was restored. */
  checkCurrent(): void {
    this.#inside.checkCurrent()
  }

  /** Embeddings of rows as f32, one after the other. */
  vectorsOf(rows: ReadonlyArray<number>): Float32Array {
    const { dimensions, store } = this
    const { layout } = store.columns
    const vectors = new Float32Array(rows.length * dimensions)
    // Of rows that follow each other in one segment, in one call.
    for (let from = 0, to = 0; from < rows.length; from = to) {
      const number = Math.floor(rows[from]! / SLOTS)
      while (to < rows.length && Math.floor(rows[to]! / SLOTS) === number) to++
      const slots = Uint32Array.from({ length: to - from }, (_, i) => rows[from + i]! % SLOTS)
      const out = vectors.subarray(from * dimensions, to * dimensions)
      store.kernels.readVectors(layout, slots, store.segments[number]!.rows, out)
    }
    return vectors
  }

  read(row: number): RecallItem {
    const { store } = this
    const address = addressOf(store, row)
    const packed = store.records.bytesAt(address)!
    const label = this.classOf(row)
    const spectrum = spectrumOf(packed)
    return {
      key: store.records.key(address),
      payload: payloadOf(packed),
      ...(label !== undefined && { class: label }),
      utility: this.number(row, "utility"),
      outcomes: this.number(row, "outcomes"),
      added: this.number(row, "added"),
      fields: this.#hasFields ? this.#fieldsOf(row) : NO_FIELDS,
      ...(spectrum && { spectrum })
    }
  }

  /** The fields of the caller's own. */
  #fieldsOf(row: number): FieldValues {
    const fields = { ...fieldsOf(this.store, row) }
    for (const name of Object.keys(OWN_FIELDS)) delete fields[name]
    return fields
  }

  tensorOf(row: number): OwnTensor | undefined {
    return tensorOf(this.store.records.bytesAt(addressOf(this.store, row))!)
  }

  /** An embedding of ours with the caller's components. */
  ownVector(vector: ArrayLike<number>): Float32Array {
    return ownVector(this.store.kernels, this.store.shape, vector)
  }

  /** Embeddings of texts of items, each at a position among them: an empty text is named by that. */
  async embed(
    texts: ReadonlyArray<string>,
    positions: ReadonlyArray<number>,
    signal: AbortSignal
  ): Promise<Float32Array> {
    const vectors = await this.#inside.embed(texts, "document", signal).catch((error) => {
      if (!(error instanceof EmptyEmbedding)) throw error
      throw new EmptyEmbedding({ index: positions[error.index] ?? error.index, text: error.text })
    })
    return this.#checked(vectors)
  }

  async embedQuery(text: string, signal: AbortSignal): Promise<Float32Array> {
    return this.#checked(await this.#inside.embed([text], "query", signal))
  }

  #checked(vectors: Float32Array): Float32Array {
    checkVectors(this.store.kernels, this.store.shape, vectors)
    return vectors
  }

  /** Bytes that an item takes. */
  bytesOf(row: number): number {
    return this.#columnBytes + this.recordBytesOf(row)
  }

  /** Bytes of its key, payload and tensor. */
  recordBytesOf(row: number): number {
    return this.store.records.usedBytes(addressOf(this.store, row))
  }

  /** Bytes that an item would take. */
  bytesFor({ key, packed }: Pick<Prepared, "key" | "packed">): number {
    return this.#columnBytes + this.store.records.bytesFor(Buffer.byteLength(key), packed.length)
  }

  /** The time, later than every time before: items that come within a millisecond have an order too. */
  tick(): number {
    this.#last = Math.max(finite("clock", this.#clock()), this.#last + TICK_MS)
    return this.#last
  }

  /** Kept with the item, so that it stays with it wherever its row is moved. */
  cameAt(row: number): number {
    return this.number(row, "added")
  }
  usedAt(row: number): number {
    return this.number(row, "used")
  }

  /**
   * Takes note that items were returned to a caller, the first of them least recently. It is written in place and is in
   * images from then on: in the log it comes with `keepUses`, because a retrieval is not to wait for a disk.
   */
  used(rows: ReadonlyArray<number>): void {
    if (rows.length === 0) return
    let at = this.tick()
    for (const row of rows) {
      this.#segment(row).fields[this.#places.used]!.values[row % SLOTS] = at
      at += TICK_MS
    }
    this.#last = at
  }

  /** Writes into the log when items were used last, where the log does not know. */
  async keepUses(): Promise<void> {
    if (!this.#inside.isKept) return
    const since = this.#keptUse
    this.#keptUse = this.#last
    const keys: Array<string> = []
    await this.walk((row) => {
      if (this.usedAt(row) > since && this.usedAt(row) > this.cameAt(row)) keys.push(this.keyOf(row))
    })
    await inGroups(keys, (key) => {
      const row = this.find(key)
      return row < 0 ? Promise.resolve() : this.change(key, { used: this.usedAt(row) })
    })
  }

  /** Adds all items or none; durable when it resolves. */
  async add(items: ReadonlyArray<Prepared>, signal?: AbortSignal): Promise<void> {
    const [only] = items
    const entry = ({ key, vector, packed, fields }: Prepared) => {
      const added = this.tick()
      return { key, vector, payload: packed, fields: { ...fields, outcomes: 0, added, used: added } }
    }
    if (items.length === 1) return settled(this.collection.add(entry(only!)))
    const entries: Array<ReturnType<typeof entry>> = []
    await forEachSliced(items.length, signal, (i) => entries.push(entry(items[i]!)))
    return settled(this.collection.addMany(entries, { signal }))
  }

  /** Removes an item; false when there is none. */
  remove(key: string): Promise<boolean> {
    return settled(this.collection.delete(key))
  }

  /** Changes fields of an item. */
  async change(key: string, fields: FieldInput): Promise<void> {
    await settled(this.collection.update({ key, fields }))
  }

  #segment(row: number): Segment {
    return this.store.segments[Math.floor(row / SLOTS)]!
  }
}
