/**
 * The items of a pool in its collection, read where they lie and written through the log.
 *
 * Runs on the thread that owns the collection: a row that is there stays what it is until the turn ends.
 */
import type { Collection } from "../collection/collection.ts"
import type { FieldInput, FieldValues } from "../collection/fields.ts"
import { insideOf } from "../collection/inside.ts"
import { settled } from "../collection/settled.ts"
import { checkVectors, ownVector } from "../collection/vectors.ts"
import { SLOTS } from "../store/layout.ts"
import type { Segment } from "../store/memory.ts"
import { addressOf, encodeKey, fieldsOf, isCurrent } from "../store/rows.ts"
import { bytesAnItem } from "./bytes.ts"
import { OWN_FIELDS } from "./options.ts"
import { payloadOf, spectrumOf, tensorOf } from "./packed.ts"
import type { SpectralFeatures } from "./spectral.ts"
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
  /** When the item of each row was returned to a caller last, 0 for never: a row that was moved begins anew. */
  readonly #usedAt: Array<number> = []
  readonly #clock: () => number
  #last = 0
  /** Bytes of all items, to the byte. */
  bytes = 0
  /** Items of each class; those without one are not counted. */
  readonly classes = new Map<string, number>()

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
      added: place("added")
    }
    this.#hasFields = names.length > Object.keys(OWN_FIELDS).length
    this.#columnBytes = bytesAnItem(shape)
    for (const row of this.rows()) {
      this.#last = Math.max(this.#last, this.cameAt(row))
      this.#came(row)
    }
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

  /** Rows of the items, lowest first. */
  rows(): Array<number> {
    const { segments, directory } = this.store
    const rows: Array<number> = []
    for (const [number, { live }] of segments.entries()) {
      const words = Math.min(live.length, Math.ceil((directory.rows - number * SLOTS) / 32))
      for (let at = 0; at < words; at++) {
        const from = number * SLOTS + at * 32
        for (let left = Atomics.load(live, at); left !== 0; left &= left - 1) {
          rows.push(from + 31 - Math.clz32(left & -left))
        }
      }
    }
    return rows
  }

  /** Embeddings of at most `count` items spread over all, one after the other. */
  sample(count: number): Float32Array {
    const rows = this.rows()
    const taken = Math.min(count, rows.length)
    return this.vectorsOf(Array.from({ length: taken }, (_, i) => rows[Math.floor((i * rows.length) / taken)]!))
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

  async embed(texts: ReadonlyArray<string>, kind: "query" | "document", signal: AbortSignal): Promise<Float32Array> {
    const vectors = await this.#inside.embed(texts, kind, signal)
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
    this.#last = Math.max(this.#clock(), this.#last + TICK_MS)
    return this.#last
  }

  /** Kept with the item, so that it stays with it wherever its row is moved. */
  cameAt(row: number): number {
    return this.number(row, "added")
  }
  usedAt(row: number): number {
    return this.#usedAt[row] || this.cameAt(row)
  }

  /** Takes note that items were returned to a caller, the first of them least recently. */
  used(rows: ReadonlyArray<number>): void {
    if (rows.length === 0) return
    let at = this.tick()
    for (const row of rows) {
      this.#usedAt[row] = at
      at += TICK_MS
    }
    this.#last = at
  }

  /** Adds all items or none; durable when it resolves. */
  async add(items: ReadonlyArray<Prepared>, signal?: AbortSignal): Promise<void> {
    const entries = items.map(({ key, vector, packed, fields }) => ({ key, vector, payload: packed, fields }))
    const [only] = entries
    if (entries.length === 1) await settled(this.collection.add(only!))
    else await settled(this.collection.addMany(entries, { signal }))
    for (const { key } of items) this.#came(this.find(key))
  }

  /** Removes an item; false when there is none. */
  async remove(key: string): Promise<boolean> {
    const row = this.find(key)
    if (row < 0) return false
    const bytes = this.bytesOf(row)
    const label = this.classOf(row)
    if (!(await settled(this.collection.delete(key)))) return false
    this.bytes -= bytes
    if (label === undefined) return true
    const left = this.classes.get(label)! - 1
    if (left === 0) this.classes.delete(label)
    else this.classes.set(label, left)
    return true
  }

  /** Changes fields of an item. */
  async change(key: string, fields: FieldInput): Promise<void> {
    await settled(this.collection.update({ key, fields }))
  }

  #came(row: number): void {
    this.#usedAt[row] = 0
    this.bytes += this.bytesOf(row)
    const label = this.classOf(row)
    if (label !== undefined) this.classes.set(label, (this.classes.get(label) ?? 0) + 1)
  }

  #segment(row: number): Segment {
    return this.store.segments[Math.floor(row / SLOTS)]!
  }
}
