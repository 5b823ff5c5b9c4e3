/** What the owner of a collection can do besides reading: every write, and the training that writes set off. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Builder } from "../builder.ts"
import { object, optionalBoolean, optionalFunction } from "../checked.ts"
import { DuplicateKey, InvalidParameter, KeyNotFound, type SabineError } from "../errors.ts"
import { abortable, attempt, awaited, limited } from "../lift.ts"
import { encodeFrame, type Frame } from "../log/frame.ts"
import type { CollectionLog } from "../log/storage.ts"
import type { Pool } from "../pool.ts"
import type { StoredPayload } from "../store/records.ts"
import { addressOf, type EncodedKey, fieldsOf, NO_NAMESPACE } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { writeVectors } from "../store/write.ts"
import { type EntryColumns, toBatch } from "./batch.ts"
import { needsFirstEncoder } from "./encoding.ts"
import { checkedKey, type EntryInput, storedPayload } from "./entries.ts"
import { CheckedFields, type FieldInput } from "./fields.ts"
import { checkBatch, ingest, type OnProgress } from "./ingest.ts"
import { type Namespace, scopeOfNamespace } from "./namespace.ts"
import type { CollectionShape } from "./options.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { backgroundTraining, encodeBatch, firstEncoder, requireCodes } from "./training.ts"
import { checkVectors, ownVector } from "./vectors.ts"
import { KeyTurns, type WriteLock } from "./write-lock.ts"

export interface AddManyOptions {
  /** Puts entries in place of those whose keys are taken, which are gone then with all they had. Default: `DuplicateKey`. */
  readonly replace?: boolean | undefined
  /** Called with the number of entries written so far, out of the batch. */
  readonly onProgress?: OnProgress | undefined
  /** Cancels the batch: nothing of it is added unless all of it was written already. */
  readonly signal?: AbortSignal | undefined
}

export interface Writing {
  /** Adds an entry; `DuplicateKey` when the key is taken. In a folder it is durable once this is done, as every write. */
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
  /** Where writes go before they can be found; absent in memory. */
  readonly log: CollectionLog | undefined
  /** Runs a single write beside others that wait for the log. */
  readonly together: WriteLock["together"]
  readonly exclusively: WriteLock["exclusively"]
  /** Starts what the index needs after a write. */
  readonly indexInBackground: Effect.Effect<void>
}

/** What writes of every namespace of a collection share. */
interface SharedWriting extends WritingParts {
  /** Starts the training of the codes once it is due. */
  readonly trainInBackground: Effect.Effect<void>
  /** Single writes of one key, one after another. */
  readonly turns: KeyTurns
}

/** A single write that was checked and prepared: nothing of it can be found yet. */
interface Prepared<A> {
  /** What the log is to keep of it; absent for a write that changes nothing. */
  readonly frame?: Frame
  /** Does early what `commit` does otherwise, while the log is written. */
  readonly meanwhile?: () => void
  /** Puts it in force; nothing is left that could fail but memory for the key index. */
  readonly commit: () => A
  /** Takes back what was set aside. */
  readonly abort?: () => void
}

export const sharedWriting = (parts: WritingParts): SharedWriting => ({
  ...parts,
  trainInBackground: backgroundTraining(parts),
  turns: new KeyTurns()
})

/** Writes into one namespace of a collection. */
export const makeWriting = (parts: SharedWriting, namespace: Namespace = undefined): Writing => {
  const { store, embed, log, together, exclusively, turns, trainInBackground } = parts
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

  /** Makes one write durable, then findable. Nobody else writes the key meanwhile, and many others wait for the same flush. */
  const write = <A>(key: string, prepare: () => Prepared<A>): Effect.Effect<A, SabineError> => {
    if (log === undefined) return exclusively(attempt(() => prepare().commit()))
    const logged = Effect.flatMap(attempt(prepare), ({ frame, meanwhile, commit, abort }) => {
      if (frame === undefined) return attempt(commit)
      return Effect.matchEffect(
        awaited(() => log.append([encodeFrame(frame)], meanwhile)),
        {
          onFailure: (error) => {
            abort?.()
            return Effect.fail(error)
          },
          onSuccess: () => attempt(commit)
        }
      )
    })
    // No text has the character between the two: it is half of a pair.
    return together(turns.run(`${namespace ?? ""}\ud800${key}`, logged))
  }

  /** Puts the first encoder in force where there is none. */
  const ready = (vector: Float32Array): Effect.Effect<void, SabineError> =>
    needsFirstEncoder(store) ? exclusively(firstEncoder(parts, vector)) : attempt(() => requireCodes(parts))

  const add = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key, payload, fields } = yield* attempt(() => checkedEntry(store, entry))
    const vector = yield* vectorOf(entry)
    if (vector === undefined) return yield* nothingGiven("a vector or a text")
    yield* ready(vector)
    yield* write(key, () => {
      const code = scope()
      if (store.find(checkedKey(key, code)) >= 0) throw new DuplicateKey({ key })
      return preparedRow(store, { key, namespace, scope: code, payload, fields }, vector, -1)
    })
    yield* trainInBackground
  })

  const update = Effect.fnUntraced(function* (entry: EntryInput) {
    const { key, payload } = yield* attempt(() => checkedEntry(store, entry))
    const given = entry.fields === undefined ? undefined : { ...entry.fields }
    const vector = yield* vectorOf(entry)
    if (vector === undefined && payload === undefined && given === undefined) {
      return yield* nothingGiven("a vector, a text, a payload or fields")
    }
    yield* write(key, () => {
      const found = locate(key)
      if (found === undefined) throw new KeyNotFound({ key })
      const { row, encoded } = found
      const { scope } = encoded
      const fields = checkedFields(store, { ...fieldsOf(store, row), ...withoutUndefined(given) })
      if (vector !== undefined) {
        const kept = payload ?? store.records.stored(addressOf(store, row))
        return preparedRow(store, { key, namespace, scope, payload: kept, fields }, vector, row)
      }
      fields.intern(0, store)
      const address = payload && store.writeRecord(checkedKey(key, scope), payload)
      return {
        frame: {
          operation: "patch",
          namespace,
          keys: [key],
          ...(payload && { payloads: [payload] }),
          ...(given && { fields: fields.values(0, 1) })
        },
        commit: () => {
          if (address !== undefined) store.replaceRecord(row, address)
          if (given !== undefined) store.replaceFields(row, fields.columns)
        },
        abort: () => {
          if (address !== undefined) store.records.free(address)
        }
      }
    })
    yield* trainInBackground
  })

  const remove = Effect.fnUntraced(function* (key: string) {
    yield* attempt(() => checkedKey(key, NO_NAMESPACE))
    const wasThere = yield* write(key, (): Prepared<boolean> => {
      const found = locate(key)
      if (found === undefined) return { commit: () => false }
      const { row, encoded } = found
      const { scope } = encoded
      return {
        frame: { operation: "delete", namespace, keys: [key] },
        commit: () => {
          store.remove(row, checkedKey(key, scope))
          return true
        }
      }
    })
    yield* trainInBackground
    return wasThere
  })

  const addAll = Effect.fnUntraced(function* (
    entries: ReadonlyArray<EntryInput> | EntryColumns,
    options: AddManyOptions
  ) {
    const onProgress = yield* attempt(() => optionalFunction("onProgress", options.onProgress))
    const replace = (yield* attempt(() => optionalBoolean("replace", options.replace))) ?? false
    const batch = yield* abortable((signal) => toBatch(store.shape, embed, entries, signal))
    if (batch.count === 0) return
    yield* exclusively(
      abortable(async (signal) => {
        requireCodes(parts)
        const code = scope()
        await checkBatch(store, batch, { scope: code, replace }, signal)
        const encode = () => encodeBatch(parts, batch)
        await ingest({ store, pool: parts.pool, log, namespace, scope: code, encode, onProgress }, batch, signal)
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

/** Writes a row that nobody can find yet; `replaced` is the one that holds the key now, or -1. */
const preparedRow = (
  store: Store,
  { key, namespace, scope, payload, fields }: CheckedEntry & { readonly namespace: Namespace; readonly scope: number },
  vector: Float32Array,
  replaced: number
): Prepared<void> => {
  fields.intern(0, store)
  const rows = store.reserve(1)
  const address = recordOf(store, () => checkedKey(key, scope), payload, rows)
  // Normalising writes into the vector; the log keeps what was given, and has it before this runs.
  const encoded = early(() => writeVectors(store.kernels, store.columns, rows, vector))
  const row = rows[0]!
  return {
    frame: {
      operation: "put",
      namespace,
      keys: [key],
      payloads: [payload],
      fields: fields.values(0, 1),
      vectors: vector
    },
    meanwhile: encoded.begin,
    commit: () => {
      store.enlist(row, encoded.result()?.[0])
      store.writeFields(row, fields.columns, 0)
      store.publish(row, checkedKey(key, scope), address, replaced)
    },
    abort: () => {
      store.records.free(address)
      store.unreserve(rows)
    }
  }
}

/** Work that is done once, when it is begun or when its result is wanted; what it throws is met by whoever wants that. */
const early = <A>(work: () => A) => {
  let done: { readonly value: A } | undefined
  const result = (): A => {
    done ??= { value: work() }
    return done.value
  }
  const begin = (): void => {
    try {
      result()
    } catch {
      done = undefined
    }
  }
  return { begin, result }
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
