/**
 * One collection made again from what images and log still hold.
 *
 * The newest image that is whole is the base. Without one it is what is left of the newest, and of the other rows every
 * part is gathered that entries, frames and the older image tell, each with the moment that it is of. Frames beyond the
 * base are put in force where no write between is missing, so that an entry is always in a state that it was in.
 */

import { unmadeEncoder } from "../collection/encoding.ts"
import { checkedKey } from "../collection/entries.ts"
import { type CollectionShape, storeShape } from "../collection/options.ts"
import { Replaying } from "../collection/replay.ts"
import { liveRows } from "../collection/samples.ts"
import { type EncodingParts, encodeAnew } from "../collection/training.ts"
import type { LostKey } from "../errors.ts"
import { isMade } from "../index/encoder.ts"
import { decodeFrame, type Frame, numberOf } from "../log/frame.ts"
import { kernels } from "../native.ts"
import type { RowParts } from "../store/image/survivors.ts"
import type { StoredPayload } from "../store/records.ts"
import { addressOf, fieldsOf, NO_NAMESPACE, scopeOf, vectorOf } from "../store/rows.ts"
import { Store } from "../store/store.ts"
import type { Holes } from "./holes.ts"
import { contentOf, type EntryFields, type FoundParts, type KnownEntry, KnownParts, placeOf } from "./known-parts.ts"
import type { Source } from "./sources.ts"

/** What a collection is made again from. */
interface Remains {
  /** Newest first, of which the last alone may be whole. */
  readonly sources: ReadonlyArray<Source>
  /** What the log says it was made with. */
  readonly shape: CollectionShape | undefined
  /** Frames up to this one are in the table of entries. */
  readonly folded: number
  readonly holes: Holes
  /** Entries that were folded, and the frames after them, as far as they can be read. */
  readonly entries: () => AsyncIterable<Uint8Array>
  readonly frames: () => AsyncIterable<Uint8Array>
}

interface Rebuilding {
  readonly workers: Pick<EncodingParts, "builder" | "pool">
  /** Makes vectors of texts, undefined for one that has none; absent where there is no embedder. */
  readonly embed: ((texts: ReadonlyArray<string>) => Promise<ReadonlyArray<Float32Array | undefined>>) | undefined
  readonly signal: AbortSignal
}

/** A collection as it could be made again. */
export interface Rebuilt {
  readonly store: Store
  readonly shape: CollectionShape
  readonly base: Source | undefined
  /** Entries whose vectors were made again from their texts. */
  readonly reembedded: number
  /** Entries that are known to have been there. */
  readonly lost: ReadonlyArray<LostKey>
  /** Entries that are there as they were before writes that cannot be put in force. */
  readonly stale: ReadonlyArray<LostKey>
  /** Entries of the base of which nothing is known. */
  readonly unknown: number
}

/** Entries that are written, or embedded, together. */
const BATCH = 1024

/** Makes a collection again; undefined when nothing tells what it was made with. */
export const rebuild = async (remains: Remains, rebuilding: Rebuilding): Promise<Rebuilt | undefined> => {
  const whole = remains.sources.find(({ isWhole }) => isWhole)
  const base = whole ?? remains.sources[0]
  const shape = base?.shape ?? remains.shape
  if (shape === undefined) return undefined
  const store = base?.store ?? new Store(kernels, storeShape(shape), unmadeEncoder(kernels, shape))
  const parts = { ...rebuilding.workers, store, shape }
  if (base?.needsCodes) await encodeAnew(parts)
  return new Rebuild(remains, rebuilding, parts, base).run()
}

class Rebuild {
  readonly #remains: Remains
  readonly #rebuilding: Rebuilding
  readonly #parts: EncodingParts
  readonly #base: Source | undefined
  readonly #known = new KnownParts()
  readonly #replaying: Replaying
  /** The moment that rows of the store are of, where that is not the base's. */
  readonly #asOf = new Map<string, number>()
  readonly #stale = new Map<string, LostKey>()

  constructor(remains: Remains, rebuilding: Rebuilding, parts: EncodingParts, base: Source | undefined) {
    this.#remains = remains
    this.#rebuilding = rebuilding
    this.#parts = parts
    this.#base = base
    this.#replaying = new Replaying(parts, rebuilding.signal)
  }

  async run(): Promise<Rebuilt> {
    const { store, shape } = this.#parts
    const watermark = this.#base?.watermark ?? 0
    if (!this.#base?.isWhole) await this.#gather()
    let unknown: number | undefined
    /** What is whole by the moment of the base joins it. */
    const settle = async (): Promise<void> => {
      if (unknown !== undefined) return
      unknown = this.#base === undefined ? 0 : Math.max(0, this.#base.live - store.directory.live - this.#known.size)
      await this.#writeWhole()
      await this.#addNewer()
    }
    for await (const bytes of this.#remains.frames()) {
      const { number } = numberOf(bytes)
      if (number > watermark) {
        await settle()
        await this.#replay(number, decodeFrame(bytes))
      } else if (!this.#base?.isWhole) this.#learn(number, decodeFrame(bytes))
    }
    await settle()
    await this.#replaying.flush()
    await this.#writeWhole()
    const reembedded = await this.#embed()
    const lost = [...this.#known.entries()].map(({ namespace, key }) => ({ key, ...(namespace && { namespace }) }))
    return { store, shape, base: this.#base, reembedded, lost, stale: [...this.#stale.values()], unknown: unknown! }
  }

  /** Whether the store has an entry. */
  #isHeld(namespace: string | undefined, key: string): boolean {
    return this.#rowOf(namespace, key) >= 0
  }

  #rowOf(namespace: string | undefined, key: string): number {
    const { store } = this.#parts
    const scope = namespace === undefined ? NO_NAMESPACE : store.tags.code(namespace)
    if (namespace !== undefined && scope === NO_NAMESPACE) return -1
    return store.find(checkedKey(key, scope))
  }

  #learnOf(asOf: number, found: FoundParts): void {
    if (!this.#isHeld(found.namespace, found.key)) this.#known.add(asOf, found)
  }

  /** Learns of the entries that the base lacks, from all but the frames. */
  async #gather(): Promise<void> {
    const { sources, folded, entries } = this.#remains
    for await (const bytes of entries()) this.#learn(folded, decodeFrame(bytes))
    for (const source of sources) {
      for (const part of source.parts) this.#learnOf(source.watermark, foundParts(part, this.#parts.shape))
      if (source === this.#base) continue
      for await (const found of rowsOf(source)) this.#learnOf(source.watermark, found)
    }
  }

  /** Learns from a frame that the base is newer than. */
  #learn(number: number, frame: Frame): void {
    const { operation, namespace } = frame
    for (const [i, found] of entriesOf(frame, this.#parts.shape).entries()) {
      const key = frame.keys[i]!
      if (operation === "delete") this.#known.remove(number, namespace, key)
      // A change tells nothing of an entry that the base holds.
      else this.#learnOf(number, found)
    }
  }

  /** Puts the rows of an image in force that is newer than the base and damaged, where the log cannot tell them all. */
  async #addNewer(): Promise<void> {
    const base = this.#base
    const [newest] = this.#remains.sources
    if (base === undefined || newest === undefined || newest === base) return
    if (this.#remains.holes.connect(base.watermark, newest.watermark)) return
    for await (const found of rowsOf(newest)) {
      if (found.vector === undefined) continue
      await this.#put(found, newest.watermark)
    }
    for (const part of newest.parts) this.#learnOf(newest.watermark, foundParts(part, this.#parts.shape))
    await this.#replaying.flush()
  }

  async #put({ namespace, key, payload, fields, vector }: FoundParts, asOf: number): Promise<void> {
    const { shape } = this.#parts
    const columns =
      shape.fields && Object.fromEntries(Object.keys(shape.fields).map((name) => [name, [fields?.[name] ?? null]]))
    await this.#replaying.take({
      operation: "put",
      namespace,
      keys: [key],
      payloads: [payload?.value],
      fields: columns,
      vectors: vector!
    })
    this.#asOf.set(placeOf(namespace, key), asOf)
    this.#stale.delete(placeOf(namespace, key))
    this.#known.forget(namespace, key)
  }

  /** Puts a frame in force that is newer than the base. */
  async #replay(number: number, frame: Frame): Promise<void> {
    const { operation, namespace } = frame
    const { shape } = this.#parts
    if (operation !== "put") await this.#replaying.flush()
    for (const [i, found] of entriesOf(frame, shape).entries()) {
      const key = frame.keys[i]!
      const place = placeOf(namespace, key)
      const asOf = this.#asOf.get(place) ?? this.#base?.watermark ?? 0
      if (asOf >= number) continue
      if (operation === "put") await this.#put(found, number)
      else if (operation === "delete") {
        await this.#replaying.take({ operation, namespace, keys: [key] })
        this.#asOf.delete(place)
        this.#stale.delete(place)
        this.#known.remove(number, namespace, key)
      } else if (!this.#isHeld(namespace, key)) this.#known.add(number, found)
      else if (this.#remains.holes.connect(asOf, number)) {
        await this.#replaying.take(frame)
        this.#asOf.set(place, number)
      } else this.#stale.set(place, { key, ...(namespace && { namespace }) })
    }
  }

  /** Writes the entries of which everything is known and of one state. */
  async #writeWhole(): Promise<void> {
    const { holes } = this.#remains
    for (const entry of [...this.#known.entries()]) {
      const content = this.#contentOf(entry)
      const { vector } = entry
      if (content === undefined || vector === undefined || !this.#canWrite) continue
      if (!holes.connect(vector.asOf, content.asOf)) continue
      await this.#put(
        { ...entry, payload: { value: content.payload }, fields: content.fields, vector: vector.value },
        content.asOf
      )
    }
    await this.#replaying.flush()
  }

  #contentOf(entry: KnownEntry) {
    return contentOf(entry, this.#parts.shape.fields !== undefined, this.#remains.holes)
  }

  /** Whether the encoder can write rows: a codebook that is lost cannot be trained without vectors. */
  get #canWrite(): boolean {
    const { shape, codes } = this.#parts.store
    return shape.pq === undefined || shape.precision !== "none" || isMade(codes.encoder)
  }

  /** Makes the vectors of the entries again that have a text, and writes those. */
  async #embed(): Promise<number> {
    const { embed } = this.#rebuilding
    if (embed === undefined || !this.#canWrite) return 0
    const texts = [...this.#known.entries()].flatMap((entry) => {
      const content = this.#contentOf(entry)
      const text = textOf(content?.payload)
      return content === undefined || text === undefined ? [] : [{ entry, content, text }]
    })
    let count = 0
    for (let from = 0; from < texts.length; from += BATCH) {
      const batch = texts.slice(from, from + BATCH)
      const vectors = await embed(batch.map(({ text }) => text))
      for (const [i, { entry, content }] of batch.entries()) {
        const vector = vectors[i]
        if (vector === undefined) continue
        const { namespace, key } = entry
        await this.#put(
          { namespace, key, payload: { value: content.payload }, fields: content.fields, vector },
          content.asOf
        )
        count++
      }
      await this.#replaying.flush()
    }
    return count
  }
}

/** The text that an entry was, or may have been, embedded from. */
const textOf = (payload: StoredPayload): string | undefined => {
  if (payload === undefined || !("json" in payload)) return undefined
  const { text } = (JSON.parse(payload.json) ?? {}) as { readonly text?: unknown }
  return typeof text === "string" ? text : undefined
}

/** Every field of an entry: null for those it has no value of. */
const allFields = (shape: CollectionShape, fields: EntryFields): EntryFields =>
  Object.fromEntries(Object.keys(shape.fields ?? {}).map((name) => [name, fields[name] ?? null]))

const foundParts = ({ fields, ...part }: RowParts, shape: CollectionShape): FoundParts => ({
  ...part,
  ...(fields && { fields: allFields(shape, fields) })
})

/** What a frame says of each of its entries. */
const entriesOf = (frame: Frame, shape: CollectionShape): ReadonlyArray<FoundParts> => {
  const { operation, namespace, keys, payloads, fields, vectors } = frame
  const { dimensions } = shape
  return keys.map((key, i) => ({
    namespace,
    key,
    ...(payloads && { payload: { value: payloads[i] } }),
    ...((fields !== undefined || operation === "put") && {
      fields: Object.fromEntries(Object.keys(shape.fields ?? {}).map((name) => [name, fields?.[name]?.[i] ?? null]))
    }),
    ...(vectors && { vector: vectors.slice(i * dimensions, (i + 1) * dimensions) })
  }))
}

/** The rows of an image as parts. */
const rowsOf = async function* ({ store, shape }: Source): AsyncGenerator<FoundParts> {
  for (const row of await liveRows(store)) {
    const address = addressOf(store, row)
    const scope = scopeOf(store, row)
    yield {
      namespace: scope === NO_NAMESPACE ? undefined : store.tags.text(scope),
      key: store.records.key(address),
      payload: { value: store.records.stored(address) },
      fields: allFields(shape, fieldsOf(store, row) ?? {}),
      vector: vectorOf(store, row)
    }
  }
}
