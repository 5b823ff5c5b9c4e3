/** Frames of the log put in force again, over an image that may have some of them already. */
import { LogInvalid } from "../errors.ts"
import { decodeFrame, type Frame, type FrameFields } from "../log/frame.ts"
import type { CollectionLog } from "../log/storage.ts"
import { forEachSliced } from "../slice.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import type { Batch } from "./batch.ts"
import { checkedKey } from "./entries.ts"
import { CheckedFields } from "./fields.ts"
import { ingest } from "./ingest.ts"
import type { Namespace } from "./namespace.ts"
import { type EncodingParts, encodeBatch } from "./training.ts"

/** Entries that are written as one batch, whoever added them. */
const BATCH_ENTRIES = 16_384

/** Puts every frame after `number` in force. */
export const replay = async (
  parts: EncodingParts,
  log: CollectionLog,
  number: number,
  signal: AbortSignal
): Promise<void> => {
  const replaying = new Replaying(parts, signal)
  for await (const bytes of log.after(number)) await replaying.take(decodeFrame(bytes))
  await replaying.flush()
}

/** Puts frames in force, in order. */
export class Replaying {
  readonly #parts: EncodingParts
  readonly #signal: AbortSignal
  /** Entries that wait to be written as one batch, and their keys. */
  #puts: Array<Frame> = []
  readonly #keys = new Set<string>()

  constructor(parts: EncodingParts, signal: AbortSignal) {
    this.#parts = parts
    this.#signal = signal
  }

  async take(frame: Frame): Promise<void> {
    const joins =
      frame.operation === "put" &&
      this.#puts[0]?.namespace === frame.namespace &&
      this.#keys.size < BATCH_ENTRIES &&
      !frame.keys.some((key) => this.#keys.has(key))
    if (!joins) await this.flush()
    if (frame.operation === "put") {
      this.#puts.push(frame)
      for (const key of frame.keys) this.#keys.add(key)
    } else await replayOne(this.#parts.store, frame, this.#signal)
  }

  /** Until then the store may lack what was taken. */
  async flush(): Promise<void> {
    if (this.#puts.length > 0) await replayPuts(this.#parts, this.#puts, this.#signal)
    this.#puts = []
    this.#keys.clear()
  }
}

const scopeOf = (store: Store, namespace: Namespace): number =>
  namespace === undefined ? NO_NAMESPACE : store.intern(namespace)

/** Takes entries away that are there. */
const remove = (store: Store, keys: ReadonlyArray<string>, scope: number, signal: AbortSignal): Promise<void> =>
  forEachSliced(keys.length, signal, (i) => {
    const row = store.find(checkedKey(keys[i], scope))
    if (row >= 0) store.remove(row, checkedKey(keys[i], scope))
  })

const replayPuts = async (parts: EncodingParts, frames: ReadonlyArray<Frame>, signal: AbortSignal): Promise<void> => {
  const { store, pool } = parts
  const { namespace } = frames[0]!
  const scope = scopeOf(store, namespace)
  const batch = await batchOf(store, frames, signal)
  await remove(store, batch.keys, scope, signal)
  await ingest({ store, pool, namespace, scope, encode: () => encodeBatch(parts, batch) }, batch, signal)
}

/** The entries of frames that have no key twice. */
const batchOf = async (store: Store, frames: ReadonlyArray<Frame>, signal: AbortSignal): Promise<Batch> => {
  const { dimensions, fields: types } = store.shape
  const keys = frames.flatMap((frame) => frame.keys)
  const payloads = frames.flatMap((frame) => frame.payloads ?? frame.keys.map(() => undefined))
  const vectors = new Float32Array(keys.length * dimensions)
  let at = 0
  const take = (frame: Frame) => {
    if (frame.vectors?.length !== frame.keys.length * dimensions) {
      throw new LogInvalid({ path: store.id, reason: `a frame without vectors of ${dimensions} components` })
    }
    vectors.set(frame.vectors, at)
    at += frame.vectors.length
  }
  await forEachSliced(frames.length, signal, (i) => take(frames[i]!))
  const fields = new CheckedFields(types, keys.length)
  await fields.setColumns(joined(frames), "fields", signal)
  return {
    count: keys.length,
    keys,
    fields,
    payload: (i) => payloads[i],
    copyVectors: (from, to, out) => out.set(vectors.subarray(from * dimensions, to * dimensions))
  }
}

const joined = (frames: ReadonlyArray<Frame>): FrameFields | undefined => {
  const names = Object.keys(frames[0]!.fields ?? {})
  if (names.length === 0) return undefined
  return Object.fromEntries(names.map((name) => [name, frames.flatMap((frame) => frame.fields?.[name] ?? [])]))
}

const replayOne = async (
  store: Store,
  { operation, namespace, keys, payloads, fields }: Frame,
  signal: AbortSignal
): Promise<void> => {
  const scope = scopeOf(store, namespace)
  if (operation === "delete") return remove(store, keys, scope, signal)
  const row = store.find(checkedKey(keys[0], scope))
  // The image is newer than this frame: one of those that follow took the entry away.
  if (row < 0) return
  const payload = payloads?.[0]
  if (payload !== undefined) store.replaceRecord(row, store.writeRecord(checkedKey(keys[0], scope), payload))
  if (fields === undefined) return
  const checked = new CheckedFields(store.shape.fields, 1)
  await checked.setColumns(fields, "fields", signal)
  checked.intern(0, store)
  store.replaceFields(row, checked.columns)
}
