/**
 * The items of a pool where they lie, by row. Runs on the thread that owns the collection: a row that is there stays what
 * it is until the turn ends.
 */
import { bytesAnEntry } from "../collection/bytes.ts"
import type { FieldValues } from "../collection/fields.ts"
import { InvalidParameter } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive, type Segment } from "../store/memory.ts"
import { addressOf, encodeKey, fieldsOf, isCurrent } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { OWN_FIELDS } from "./options.ts"
import { encoderOf, payloadOf, spectrumOf, tensorOf } from "./packed.ts"
import type { SpectralFeatures } from "./spectral.ts"
import { liveRows, spread, sweep } from "./sweep.ts"
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

/** Components that are read in a tenth of a millisecond. */
const COMPONENTS_A_LOOK = 2 ** 16

const NO_FIELDS: FieldValues = Object.freeze({})

type OwnField = keyof typeof OWN_FIELDS

export class PoolRows {
  readonly store: Store
  /** Where each of our own fields is among the columns. */
  readonly #places: Readonly<Record<OwnField, number>>
  /** Whether there are fields beside our own. */
  readonly #hasFields: boolean
  readonly #columnBytes: number
  /** Labels of classes by their code, as they are met. */
  readonly #labels: Array<string | undefined> = []

  constructor(store: Store) {
    this.store = store
    const { shape } = store
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
    // What is remembered of filters would not be told of uses.
    store.directory.setInPlace(this.#places.used)
    this.#hasFields = names.length > Object.keys(OWN_FIELDS).length
    this.#columnBytes = bytesAnEntry(shape)
  }

  get size(): number {
    return this.store.directory.live
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

  /** The same of many rows, in shares of the event loop: by its end, some may hold another item. */
  async vectorsInTurns(rows: ReadonlyArray<number>): Promise<Float32Array> {
    const { dimensions } = this
    const vectors = new Float32Array(rows.length * dimensions)
    const step = Math.max(1, Math.floor(COMPONENTS_A_LOOK / dimensions))
    const read = (i: number) => vectors.set(this.vectorsOf(rows.slice(i * step, (i + 1) * step)), i * step * dimensions)
    await forEachSliced(Math.ceil(rows.length / step), undefined, read, 1)
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

  /** Identity of the encoder that made the embedding of an item, if one did. */
  encoderOf(row: number): string | undefined {
    // What was written to the collection itself may have another payload.
    const packed = this.store.records.bytesAt(addressOf(this.store, row))
    return packed && encoderOf(packed)
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
  bytesFor({ key, packed }: { readonly key: string; readonly packed: Uint8Array }): number {
    return this.#columnBytes + this.store.records.bytesFor(Buffer.byteLength(key), packed.length)
  }

  /** Kept with the item, so that it stays with it wherever its row is moved. */
  cameAt(row: number): number {
    return this.number(row, "added")
  }
  usedAt(row: number): number {
    return this.number(row, "used")
  }
  /** Whole or not at all, for whoever reads it meanwhile: the number is aligned. */
  protected markUsed(row: number, at: number): void {
    this.#segment(row).fields[this.#places.used]!.values[row % SLOTS] = at
  }

  #segment(row: number): Segment {
    return this.store.segments[Math.floor(row / SLOTS)]!
  }
}
