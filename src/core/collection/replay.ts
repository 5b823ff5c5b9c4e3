/** Frames of the log put in force again, over an image that may have some of them already. */
import { LogInvalid } from "../errors.ts"
import { decodeFrame, type Frame, type FrameFields } from "../log/frame.ts"
import type { CollectionLog } from "../log/storage.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import type { Batch } from "./batch.ts"
import { checkedKey } from "./entries.ts"
import { CheckedFields } from "./fields.ts"
import { ingest } from "./ingest.ts"
import type { Namespace } from "./namespace.ts"
import { encodeBatch } from "./training.ts"
import type { WritingParts } from "./writing.ts"

/** Entries that are written as one batch, whoever added them. */
const BATCH_ENTRIES = 16_384

/** Puts every frame after `number` in force. */
export const replay = async (
  parts: WritingParts,
  log: CollectionLog,
  number: number,
  signal: AbortSignal
): Promise<void> => {
  let puts: Array<Frame> = []
  const seen = new Set<string>()
  const flush = async (): Promise<void> => {
    if (puts.length > 0) await replayPuts(parts, puts, signal)
    puts = []
    seen.clear()
  }
  for await (const bytes of log.after(number)) {
    const frame = decodeFrame(bytes)
    const joins =
      frame.operation === "put" &&
      puts[0]?.namespace === frame.namespace &&
      seen.size < BATCH_ENTRIES &&
      !frame.keys.some((key) => seen.has(key))
    if (!joins) await flush()
    if (frame.operation === "put") {
      puts.push(frame)
      for (const key of frame.keys) seen.add(key)
    } else await replayOne(parts.store, frame)
  }
  await flush()
}

const scopeOf = (store: Store, namespace: Namespace): number =>
  namespace === undefined ? NO_NAMESPACE : store.intern(namespace)

/** Takes entries away that are there. */
const remove = (store: Store, keys: ReadonlyArray<string>, scope: number): void => {
  for (const key of keys) {
    const row = store.find(checkedKey(key, scope))
    if (row >= 0) store.remove(row, checkedKey(key, scope))
  }
}

const replayPuts = async (parts: WritingParts, frames: ReadonlyArray<Frame>, signal: AbortSignal): Promise<void> => {
  const { store, pool } = parts
  const { namespace } = frames[0]!
  const scope = scopeOf(store, namespace)
  const batch = await batchOf(store, frames, signal)
  remove(store, batch.keys, scope)
  await ingest({ store, pool, namespace, scope, encode: () => encodeBatch(parts, batch) }, batch, signal)
}

/** The entries of frames that have no key twice. */
const batchOf = async (store: Store, frames: ReadonlyArray<Frame>, signal: AbortSignal): Promise<Batch> => {
  const { dimensions, fields: types } = store.shape
  const keys = frames.flatMap((frame) => frame.keys)
  const payloads = frames.flatMap((frame) => frame.payloads ?? frame.keys.map(() => undefined))
  const vectors = new Float32Array(keys.length * dimensions)
  let at = 0
  for (const frame of frames) {
    if (frame.vectors?.length !== frame.keys.length * dimensions) {
      throw new LogInvalid({ path: store.id, reason: `a frame without vectors of ${dimensions} components` })
    }
    vectors.set(frame.vectors, at)
    at += frame.vectors.length
  }
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

const replayOne = async (store: Store, { operation, namespace, keys, payloads, fields }: Frame): Promise<void> => {
  const scope = scopeOf(store, namespace)
  if (operation === "delete") return remove(store, keys, scope)
  const row = store.find(checkedKey(keys[0], scope))
  // The image is newer than this frame: one of those that follow took the entry away.
  if (row < 0) return
  const payload = payloads?.[0]
  if (payload !== undefined) store.replaceRecord(row, store.writeRecord(checkedKey(keys[0], scope), payload))
  if (fields === undefined) return
  const checked = new CheckedFields(store.shape.fields, 1)
  await checked.setColumns(fields, "fields", new AbortController().signal)
  checked.intern(0, store)
  store.replaceFields(row, checked.columns)
}
