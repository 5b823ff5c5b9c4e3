/**
 * Many entries at once: everything is checked, then written, then published row by row.
 *
 * Vectors are written and encoded by the pool, from staging buffers in shared memory, or in
 * slices on this thread when the batch is short. Until the first row is published a failure
 * leaves nothing behind but slots that are free again.
 */
import { DuplicateKey } from "../errors.ts"
import { codeComponents } from "../kernels/pq.ts"
import { CODE_BITS } from "../kernels/shape.ts"
import { encodeFrame } from "../log/frame.ts"
import type { CollectionLog } from "../log/storage.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { forEachSliced } from "../slice.ts"
import { settleKeys } from "../store/settle.ts"
import type { Store } from "../store/store.ts"
import { writeVectors } from "../store/write.ts"
import { fitsInTurn, inNextTurn, roomInTurn } from "../turn.ts"
import type { Batch } from "./batch.ts"
import { checkedKey } from "./entries.ts"
import type { Namespace } from "./namespace.ts"
import { checkVectors } from "./vectors.ts"

/** Batches that take longer than this on one thread go to the pool, in microseconds: some hops to a worker and back. */
const POOL_US = 2000
/** Longest native call on this thread, in microseconds. */
const SLICE_US = 700
const STAGING_BYTES = 1 << 21
/** Entries of a frame at most, and bytes of one of several: each is put together in a fraction of a millisecond. */
const FRAME_ENTRIES = 128
const FRAME_BYTES = 1 << 20
/** Multiply-adds done in a microsecond, with the addon and without: a low guess. */
const MACS_US = { native: 15_000, scalar: 600 }
/** Rows copied between two looks at the clock. */
const COPY_ROWS = 16

/** Called with the number of entries written so far. */
export type OnProgress = (done: number) => void

/** Where a batch is to go. */
interface Target {
  /** Code of the namespace. */
  readonly scope: number
  /** Whether keys may be taken. */
  readonly replace: boolean
}

/** Checks keys and vectors of the whole batch. */
export const checkBatch = async (
  store: Store,
  batch: Batch,
  { scope, replace }: Target,
  signal: AbortSignal
): Promise<void> => {
  const seen = new Set<string>()
  await forEachSliced(batch.count, signal, (i) => {
    const key = batch.keys[i]!
    const encoded = checkedKey(key, scope, `entries[${i}].key`)
    if (seen.has(key) || (!replace && store.find(encoded) >= 0)) throw new DuplicateKey({ key })
    seen.add(key)
  })
  const vectors = new Float32Array(COPY_ROWS * store.shape.dimensions)
  await forEachSliced(Math.ceil(batch.count / COPY_ROWS), signal, (step) => {
    const from = step * COPY_ROWS
    const to = Math.min(batch.count, from + COPY_ROWS)
    const part = vectors.subarray(0, (to - from) * store.shape.dimensions)
    batch.copyVectors(from, to, part)
    checkVectors(store.kernels, store.shape, part, from)
  })
}

interface Ingestion {
  readonly store: Store
  readonly pool: Pool["Service"]
  /** Where the batch goes before any of it can be found; absent where nothing is to last, or it is there already. */
  readonly log?: CollectionLog | undefined
  readonly namespace: Namespace
  /** Code of the namespace. */
  readonly scope: number
  /** Puts the encoder in force; by then nothing that the caller gave can be refused any more, unless it changed since. */
  readonly encode: () => Promise<void>
  readonly onProgress?: OnProgress | undefined
}

/** Writes a checked batch: all of it, or none when it fails before the first row is published. */
export const ingest = async (ingestion: Ingestion, batch: Batch, signal: AbortSignal): Promise<void> => {
  const { store, log, scope, encode } = ingestion
  const addresses = new Float64Array(batch.count).fill(-1)
  let rows: Uint32Array = new Uint32Array(0)
  let lists: Uint32Array | undefined
  try {
    await forEachSliced(batch.count, signal, (i) => {
      const payload = batch.payload(i)
      addresses[i] = store.writeRecord(checkedKey(batch.keys[i], scope), payload)
      batch.fields.intern(i, store)
    })
    await encode()
    await settleKeys(store)
    rows = store.reserve(batch.count)
    lists = store.lists && new Uint32Array(batch.count)
    const frames: Array<Uint8Array<ArrayBuffer>> = []
    const keep =
      log && ((from: number, vectors: Float32Array) => addFrames(frames, ingestion, batch, addresses, from, vectors))
    await writeAll(ingestion, batch, { rows, lists, keep }, signal)
    await log?.append(frames)
  } catch (error) {
    for (const address of addresses) if (address >= 0) store.records.free(address)
    store.unreserve(rows)
    throw error
  }
  await forEachSliced(batch.count, undefined, (i) => {
    store.enlist(rows[i]!, lists?.[i])
    store.writeFields(rows[i]!, batch.fields.columns, i)
    const key = checkedKey(batch.keys[i], scope)
    store.publish(rows[i]!, key, addresses[i]!, store.find(key))
  })
}

/** The rows of a batch, the list of each to be filled in, and the frames of what is written, where there is a log. */
interface Places {
  readonly rows: Uint32Array
  readonly lists: Uint32Array | undefined
  /** Called with the vectors of entries from `from` on as they are written, whatever the caller did to its own. */
  readonly keep: ((from: number, vectors: Float32Array) => Promise<void>) | undefined
}

/** Adds the frames of entries from `from` on, in shares of the event loop. */
const addFrames = async (
  frames: Array<Uint8Array<ArrayBuffer>>,
  { store, namespace }: Ingestion,
  { keys, fields }: Batch,
  addresses: Float64Array,
  from: number,
  vectors: Float32Array
): Promise<void> => {
  const { dimensions } = store.shape
  const end = from + vectors.length / dimensions
  const bytesOf = (i: number): number => 4 * dimensions + store.records.usedBytes(addresses[i]!)
  for (let start = from, to = from; start < end; start = to) {
    const room = roomInTurn()
    if (room !== undefined) await room
    let bytes = bytesOf(to++)
    while (to < Math.min(end, start + FRAME_ENTRIES) && bytes + bytesOf(to) <= FRAME_BYTES) bytes += bytesOf(to++)
    frames.push(
      encodeFrame({
        operation: "put",
        namespace,
        keys: keys.slice(start, to),
        payloads: Array.from(addresses.subarray(start, to), (address) => store.records.stored(address)),
        fields: fields.values(start, to),
        vectors: vectors.subarray((start - from) * dimensions, (to - from) * dimensions)
      })
    )
  }
}

const writeAll = async (
  { store, pool, onProgress }: Ingestion,
  batch: Batch,
  { rows, lists, keep }: Places,
  signal: AbortSignal
): Promise<void> => {
  const { dimensions } = store.shape
  // A row is encoded, and its code compared with every centroid.
  const macs = CODE_BITS * dimensions + codeComponents(store.columns.layout) * (store.lists?.count ?? 0)
  const rowUs = macs / (store.kernels.isas().length > 1 ? MACS_US.native : MACS_US.scalar)
  const inPool = rowUs * batch.count > POOL_US
  const chunk = Math.max(1, Math.floor(inPool ? STAGING_BYTES / (4 * dimensions) : SLICE_US / rowUs))
  let next = 0
  let done = 0
  const lane = async (): Promise<void> => {
    const staging = new Float32Array(new SharedArrayBuffer(Math.min(chunk, batch.count) * dimensions * 4))
    while (next < batch.count) {
      signal.throwIfAborted()
      const from = next
      const to = Math.min(batch.count, from + chunk)
      next = to
      const vectors = staging.subarray(0, (to - from) * dimensions)
      await copySliced(batch, from, to, dimensions, vectors)
      // The caller may have changed its own since the whole batch was checked.
      checkVectors(store.kernels, store.shape, vectors, from)
      await keep?.(from, vectors)
      const part = rows.slice(from, to)
      if (!inPool && !fitsInTurn((rowUs * part.length) / 1000)) await inNextTurn()
      const found = inPool
        ? await runOnMemory<Uint32Array | undefined>(pool, "write", { rows: part, vectors }, store.handle())
        : writeVectors(store.kernels, store.columns, part, vectors)
      if (found !== undefined) lists?.set(found, from)
      done += to - from
      onProgress?.(done)
    }
  }
  // One lane more than threads: the next chunk is staged while the workers encode.
  const lanes = await Promise.allSettled(Array.from({ length: inPool ? pool.threads + 1 : 1 }, lane))
  for (const result of lanes) if (result.status === "rejected") throw result.reason
}

const copySliced = (batch: Batch, from: number, to: number, dimensions: number, out: Float32Array): Promise<void> =>
  forEachSliced(Math.ceil((to - from) / COPY_ROWS), undefined, (i) => {
    const first = from + i * COPY_ROWS
    batch.copyVectors(first, Math.min(to, first + COPY_ROWS), out.subarray(i * COPY_ROWS * dimensions))
  })
