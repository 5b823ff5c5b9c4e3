/** What the owner of a collection can do besides reading: every write, and the training that writes set off. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Builder } from "../builder.ts"
import { object, optionalFunction } from "../checked.ts"
import { DuplicateKey, InvalidParameter, KeyNotFound, type SabineError } from "../errors.ts"
import { abortable, attempt, limited } from "../lift.ts"
import type { Pool } from "../pool.ts"
import type { StoredPayload } from "../store/records.ts"
import { addressOf, type EncodedKey, fieldsOf, NO_NAMESPACE } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { writeVectors } from "../store/write.ts"
import { type EntryColumns, toBatch } from "./batch.ts"
import { checkedKey, type EntryInput, storedPayload } from "./entries.ts"
import { CheckedFields, type FieldInput } from "./fields.ts"
import { checkBatch, ingest, type OnProgress } from "./ingest.ts"
import { type Namespace, scopeOfNamespace } from "./namespace.ts"
import type { CollectionShape } from "./options.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { backgroundTraining, encodeBatch, firstEncoder, requireCodes } from "./training.ts"
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
   * Replaces the vector, the payload, fields, or several of them; what is absent stays as it is. A text replaces
   * vector and payload unless a payload is given. `KeyNotFound` when there is no such entry.
   */
  readonly update: (entry: EntryInput) => Effect.Effect<void, SabineError>
  /** Deletes an entry; false when there was none. */
  readonly delete: (key: string) => Effect.Effect<boolean, SabineError>
}

export interface WritingParts {
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

/** What writes of every namespace of a collection share. */
interface SharedWriting extends WritingParts {
  /** Starts the training of the codes once it is due. */
  readonly trainInBackground: Effect.Effect<void>
}

export const sharedWriting = (parts: WritingParts): SharedWriting => ({
  ...parts,
  trainInBackground: backgroundTraining(parts)
})

/** Writes into one namespace of a collection. */
export const makeWriting = (parts: SharedWriting, namespace: Namespace = undefined): Writing => {
  const { store, embed, exclusively, trainInBackground } = parts
  /** The code of the namespace, which joins the dictionary with the first write. */
  const scope = () => (namespace === undefined ? NO_NAMESPACE : store.intern(namespace))
  /** The row of a key and the key as bytes until the next call; undefined when there is none. */
  const locate = (key: string): Located | undefined => {
    const code = scopeOfNamespace(store, namespace)
    if (code === undefined) return undefined
    const encoded = checkedKey(key, code)
    const row = store.find(encoded)
    return row < 0 ? undefined : { row, encoded }
  }

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

  const add = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key, payload, fields } = yield* attempt(() => checkedEntry(store, entry))
    const vector = yield* vectorOf(entry)
    if (vector === undefined) return yield* nothingGiven("a vector or a text")
    yield* exclusively(
      Effect.andThen(
        firstEncoder(parts, vector),
        attempt(() => {
          const code = scope()
          if (store.find(checkedKey(key, code)) >= 0) throw new DuplicateKey({ key })
          writeRow(store, { key, scope: code, payload, fields }, vector, -1)
        })
      )
    )
    yield* trainInBackground
  })

  const update = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key, payload } = yield* attempt(() => checkedEntry(store, entry))
    const given = entry.fields === undefined ? undefined : { ...entry.fields }
    const vector = yield* vectorOf(entry)
    if (vector === undefined && payload === undefined && given === undefined) {
      return yield* nothingGiven("a vector, a text, a payload or fields")
    }
    yield* exclusively(
      attempt(() => {
        const found = locate(key)
        if (found === undefined) throw new KeyNotFound({ key })
        const { row, encoded } = found
        const fields = checkedFields(store, { ...fieldsOf(store, row), ...withoutUndefined(given) })
        if (vector !== undefined) {
          const kept = payload ?? store.records.stored(addressOf(store, row))
          return writeRow(store, { key, scope: encoded.scope, payload: kept, fields }, vector, row)
        }
        fields.intern(0, store)
        if (payload !== undefined) store.replaceRecord(row, store.writeRecord(checkedKey(key, encoded.scope), payload))
        if (given !== undefined) store.replaceFields(row, fields.columns)
      })
    )
  })

  const remove = (key: string) =>
    exclusively(
      attempt(() => {
        checkedKey(key, NO_NAMESPACE)
        const found = locate(key)
        if (found === undefined) return false
        store.remove(found.row, found.encoded)
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
        requireCodes(parts)
        const code = scope()
        await checkBatch(store, batch, code, signal)
        await ingest(store, parts.pool, batch, code, () => encodeBatch(parts, batch), signal, onProgress)
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

/** An entry that was checked, but for its vector. */
interface CheckedEntry {
  readonly key: string
  readonly payload: StoredPayload
  readonly fields: CheckedFields
}

const checkedEntry = (store: Store, entry: EntryInput): CheckedEntry => {
  const { key, fields } = object("entry", entry)
  checkedKey(key, NO_NAMESPACE)
  return { key, payload: storedPayload(entry), fields: checkedFields(store, fields) }
}

const checkedFields = (store: Store, input: FieldInput | undefined): CheckedFields => {
  const fields = new CheckedFields(store.shape.fields, 1)
  fields.set(0, input, "fields")
  return fields
}

/** The fields that are named: `undefined` stands for one that is not. */
const withoutUndefined = (fields: FieldInput = {}): FieldInput =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

interface Located {
  readonly row: number
  readonly encoded: EncodedKey
}

const writeRow = (
  store: Store,
  { key, scope, payload, fields }: CheckedEntry & { readonly scope: number },
  vector: Float32Array,
  replaced: number
): void => {
  fields.intern(0, store)
  const rows = store.reserve(1)
  const address = recordOf(store, () => checkedKey(key, scope), payload, rows)
  const lists = writeVectors(store.kernels, store.columns, rows, vector)
  store.enlist(rows[0]!, lists?.[0])
  store.writeFields(rows[0]!, fields.columns, 0)
  store.publish(rows[0]!, checkedKey(key, scope), address, replaced)
}

/** The record of a reserved row, which is given back when there is no room for it. */
const recordOf = (store: Store, key: () => EncodedKey, payload: StoredPayload, rows: Uint32Array): number => {
  try {
    return store.writeRecord(key(), payload)
  } catch (error) {
    store.unreserve(rows)
    throw error
  }
}
