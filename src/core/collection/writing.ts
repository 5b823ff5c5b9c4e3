/** What the owner of a collection can do besides reading: every write, and the training that writes set off. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Builder } from "../builder.ts"
import { object, optionalFunction } from "../checked.ts"
import { DuplicateKey, InvalidParameter, KeyNotFound, type SabineError } from "../errors.ts"
import { abortable, attempt, limited } from "../lift.ts"
import type { Pool } from "../pool.ts"
import type { StoredPayload } from "../store/records.ts"
import { addressOf } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { writeVectors } from "../store/write.ts"
import { type Batch, type EntryColumns, toBatch } from "./batch.ts"
import { batchSample, canTrain, isMade, makeFirstEncoder, reencode, storedSample, train } from "./encoding.ts"
import { checkedKey, type EntryInput, storedPayload } from "./entries.ts"
import { checkBatch, ingest, type OnProgress } from "./ingest.ts"
import type { CollectionShape } from "./options.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { checkVectors, ownVector } from "./vectors.ts"

export interface AddManyOptions {
  /** Called with the number of entries written so far, out of the batch. */
  readonly onProgress?: OnProgress | undefined
  /** Cancels the batch: nothing of it is added unless all of it was written already. */
  readonly signal?: AbortSignal | undefined
}

export interface Writing {
  /** Adds an entry; `DuplicateKey` when the key is taken. */
  readonly add: (entry: EntryInput) => Effect.Effect<void, SabineError>
  /** Adds all entries or none. */
  readonly addMany: (
    entries: ReadonlyArray<EntryInput> | EntryColumns,
    options?: AddManyOptions
  ) => Effect.Effect<void, SabineError>
  /**
   * Replaces the vector, the payload or both; what is absent stays as it is. A text replaces both unless a
   * payload is given. `KeyNotFound` when there is no such entry.
   */
  readonly update: (entry: EntryInput) => Effect.Effect<void, SabineError>
  /** Deletes an entry; false when there was none. */
  readonly delete: (key: string) => Effect.Effect<boolean, SabineError>
}

interface WritingParts {
  readonly name: string
  readonly shape: CollectionShape
  readonly store: Store
  readonly embed: EmbedTexts
  readonly pool: Pool["Service"]
  readonly builder: Builder["Service"]
  /** Scope of the database: what runs in the background ends with it. */
  readonly scope: Scope.Scope
  readonly exclusively: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** Starts what the index needs after a write. */
  readonly indexInBackground: Effect.Effect<void>
}

export const makeWriting = (parts: WritingParts): Writing => {
  const { store, embed, exclusively } = parts
  const trainInBackground = backgroundTraining(parts)

  /** The vector of an entry as it is now, checked; undefined when it has neither vector nor text. */
  const vectorOf = ({ vector, text }: EntryInput): Effect.Effect<Float32Array | undefined, SabineError> => {
    if (vector !== undefined) return attempt(() => ownVector(store.kernels, store.shape, vector))
    if (text === undefined) return Effect.succeed(undefined)
    return abortable(async (signal) => {
      const embedded = await embed([checkedText("text", text)], "document", signal)
      checkVectors(store.kernels, store.shape, embedded)
      return embedded
    })
  }

  const firstEncoder = (sample: Float32Array) =>
    isMade(store.codes.encoder) ? Effect.void : abortable(() => makeFirstEncoder(store, parts.builder, sample))

  const add = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key } = yield* attempt(() => object("entry", entry))
    yield* attempt(() => checkedKey(key))
    const payload = yield* attempt(() => storedPayload(entry))
    const vector = yield* vectorOf(entry)
    if (vector === undefined) return yield* nothingGiven("a vector or a text")
    yield* exclusively(
      Effect.andThen(
        firstEncoder(vector),
        attempt(() => {
          if (store.find(checkedKey(key)) >= 0) throw new DuplicateKey({ key })
          writeRow(store, key, payload, vector, -1)
        })
      )
    )
    yield* trainInBackground
  })

  const update = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key } = yield* attempt(() => object("entry", entry))
    yield* attempt(() => checkedKey(key))
    const payload = yield* attempt(() => storedPayload(entry))
    const vector = yield* vectorOf(entry)
    if (vector === undefined && payload === undefined) return yield* nothingGiven("a vector, a text or a payload")
    yield* exclusively(
      attempt(() => {
        const row = store.find(checkedKey(key))
        if (row < 0) throw new KeyNotFound({ key })
        const kept = payload ?? store.records.stored(addressOf(store, row))
        if (vector !== undefined) writeRow(store, key, kept, vector, row)
        else store.replaceRecord(row, store.writeRecord(checkedKey(key), kept))
      })
    )
  })

  const remove = (key: string) =>
    exclusively(
      attempt(() => {
        const encoded = checkedKey(key)
        const row = store.find(encoded)
        if (row < 0) return false
        store.remove(row, encoded)
        return true
      })
    )

  const addAll = Effect.fnUntraced(function* (
    entries: ReadonlyArray<EntryInput> | EntryColumns,
    options: AddManyOptions
  ) {
    const onProgress = yield* attempt(() => optionalFunction("onProgress", options.onProgress))
    const batch = yield* abortable((signal) => toBatch(store.shape, embed, entries, signal))
    if (batch.count === 0) return
    yield* exclusively(
      abortable(async (signal) => {
        await checkBatch(store, batch, signal)
        await ingest(store, parts.pool, batch, () => encodeBatch(parts, batch), signal, onProgress)
      })
    )
    yield* trainInBackground
  })

  const addMany: Writing["addMany"] = (entries, options = {}) =>
    Effect.flatMap(
      attempt(() => object("options", options)),
      (options) => limited(addAll(entries, options), { signal: options.signal })
    )

  return { add, addMany, update, delete: remove }
}

const nothingGiven = (wanted: string) => new InvalidParameter({ parameter: "entry", reason: `wanted ${wanted}` })

const writeRow = (store: Store, key: string, payload: StoredPayload, vector: Float32Array, replaced: number): void => {
  const rows = store.reserve(1)
  const address = recordOf(store, key, payload, rows)
  const lists = writeVectors(store.kernels, store.columns, rows, vector)
  store.enlist(rows[0]!, lists?.[0])
  store.publish(rows[0]!, checkedKey(key), address, replaced)
}

/** The record of a reserved row, which is given back when there is no room for it. */
const recordOf = (store: Store, key: string, payload: StoredPayload, rows: Uint32Array): number => {
  try {
    return store.writeRecord(checkedKey(key), payload)
  } catch (error) {
    store.unreserve(rows)
    throw error
  }
}

/** Puts the encoder in force that a batch is to be written with: trained on the batch when it is large enough. */
const encodeBatch = async ({ store, shape, builder, pool }: WritingParts, batch: Batch): Promise<void> => {
  const trains = canTrain(store, shape, batch.count)
  if (!trains && isMade(store.codes.encoder)) return
  const sample = await batchSample(store, batch)
  if (!trains) return makeFirstEncoder(store, builder, sample)
  await reencode(store, pool, await train(store, builder, sample))
}

/** Starts the training once enough rows are there, and the index after it; adds and searches go on meanwhile. */
const backgroundTraining = (parts: WritingParts): Effect.Effect<void> => {
  const { store, shape, builder, pool, scope, exclusively, indexInBackground } = parts
  let started = false
  const run = Effect.gen(function* () {
    const encoder = yield* abortable(async () => train(store, builder, await storedSample(store)))
    yield* exclusively(
      abortable(() => (canTrain(store, shape, store.directory.live) ? reencode(store, pool, encoder) : done))
    )
    yield* indexInBackground
  }).pipe(
    // The projection stays in force: searches are right, only slower to reach the same recall.
    Effect.catch((error) => Effect.logWarning("training the codes failed", error)),
    Effect.ensuring(Effect.sync(() => (started = false)))
  )
  return Effect.suspend(() => {
    if (started) return Effect.void
    if (!canTrain(store, shape, store.directory.live)) return indexInBackground
    started = true
    return Effect.asVoid(Effect.forkIn(run, scope))
  })
}

const done = Promise.resolve()
