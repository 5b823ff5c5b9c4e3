/** The items of a pool in its collection: read where they lie, written through the log, and counted. */
import { finite } from "../checked.ts"
import type { Collection } from "../collection/collection.ts"
import type { FieldInput } from "../collection/fields.ts"
import { insideOf } from "../collection/inside.ts"
import { settled } from "../collection/settled.ts"
import { checkVectors, ownVector } from "../collection/vectors.ts"
import { CollectionMismatch, EmptyEmbedding } from "../errors.ts"
import { fallback } from "../native.ts"
import { mapSliced } from "../slice.ts"
import { spectrumOfTensor } from "../spectrum.ts"
import { roomInTurn } from "../turn.ts"
import type { Encodable, Encoder } from "./encoder.ts"
import { inGroups } from "./in-groups.ts"
import { PoolRows } from "./pool-rows.ts"
import { Tally } from "./tally.ts"
import type { OwnTensor } from "./tensor.ts"

/** An item that is ready to be written. */
export interface Prepared {
  readonly key: string
  readonly vector: Float32Array
  readonly packed: Uint8Array
  readonly fields: FieldInput
}

/** Values whose spectrum takes a fraction of a millisecond; the scalar kernels take far longer. */
const VALUES_AT_ONCE = fallback === undefined ? 2 ** 14 : 2 ** 8

/** Least time between two: times in milliseconds have a few more digits. */
const TICK_MS = 0.001

export class PoolItems extends PoolRows {
  readonly collection: Collection
  readonly #inside: ReturnType<typeof insideOf>
  readonly #clock: () => number
  #last = 0
  /** Uses beyond this one are not in the log. */
  #keptUse = 0
  readonly tally: Tally
  readonly #unwatch: () => void

  constructor(collection: Collection, clock: () => number) {
    const inside = insideOf(collection)
    super(inside.store)
    this.collection = collection
    this.#clock = clock
    this.#inside = inside
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

  /** Throws `CollectionReplaced` once a checkpoint was restored. */
  checkCurrent(): void {
    this.#inside.checkCurrent()
  }

  /** An embedding of ours with the caller's components. */
  ownVector(vector: ArrayLike<number>): Float32Array {
    return ownVector(this.store.kernels, this.store.shape, vector)
  }

  /** Throws `CollectionMismatch` where there are embeddings that another encoder made: no two agree on what is near. */
  checkEncoder(encoder: Encoder): void {
    for (const expected of this.tally.encoders.keys()) {
      if (expected === encoder.id) continue
      throw new CollectionMismatch({ collection: this.collection.name, field: "encoder", expected, got: encoder.id })
    }
  }

  /** The embedding that an encoder makes of a tensor, as ours. */
  encode(encoder: Encoder, item: Encodable): Float32Array {
    this.checkEncoder(encoder)
    return this.ownVector(encoder.encode(item))
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

  /** Spectral features of a tensor; those of a large one are computed by a worker. */
  async spectrumOf(tensor: OwnTensor): Promise<Float32Array> {
    if (tensor.data.length > VALUES_AT_ONCE) return this.#inside.run("spectrumOfTensor", tensor)
    const room = roomInTurn()
    if (room !== undefined) await room
    return spectrumOfTensor(tensor)
  }

  async embedQuery(text: string, signal: AbortSignal): Promise<Float32Array> {
    return this.#checked(await this.#inside.embed([text], "query", signal))
  }

  #checked(vectors: Float32Array): Float32Array {
    checkVectors(this.store.kernels, this.store.shape, vectors)
    return vectors
  }

  /** The time, later than every time before: items that come within a millisecond have an order too. */
  tick(): number {
    this.#last = Math.max(finite("clock", this.#clock()), this.#last + TICK_MS)
    return this.#last
  }

  /**
   * Takes note that items were returned to a caller, the first of them least recently. It is written in place and is in
   * images from then on: in the log it comes with `keepUses`, because a retrieval is not to wait for a disk.
   */
  used(rows: ReadonlyArray<number>): void {
    if (rows.length === 0) return
    let at = this.tick()
    for (const row of rows) {
      this.markUsed(row, at)
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
    const entries = await mapSliced(items.length, signal, (i) => entry(items[i]!))
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
}
