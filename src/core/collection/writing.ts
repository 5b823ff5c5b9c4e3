/** What the owner of a collection can do besides reading: every write, and the training that writes set off. */
import * as Effect from "effect/Effect"
import type { Background } from "../background.ts"
import type { Builder } from "../builder.ts"
import { object, optionalBoolean, optionalFunction } from "../checked.ts"
import { DuplicateKey, InvalidParameter, KeyNotFound, type SabineError } from "../errors.ts"
import { abortable, attempt, chosen, directInRoom, ending, limited, making, type Start } from "../lift.ts"
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
import { carryOut, type Prepared } from "./prepared.ts"
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
  readonly background: Background
  /** Where writes go before they can be found; absent in memory. */
  readonly log: CollectionLog | undefined
  /** Runs a single write beside others that wait for the log. */
  readonly together: WriteLock["together"]
  readonly exclusively: WriteLock["exclusively"]
  /** Starts what the index needs after a write. */
  readonly indexInBackground: () => void
}

/** What writes of every namespace of a collection share. */
export interface SharedWriting extends WritingParts {
  /** Starts the training of the codes once it is due. */
  readonly trainInBackground: () => void
  /** Single writes of one key, one after another. */
  readonly turns: KeyTurns
}

/** Where single writes that find no encoder wait for each other: no key has it as its id. */
const FIRST_ENCODER = ""

export const sharedWriting = (parts: WritingParts): SharedWriting => ({
  ...parts,
  trainInBackground: backgroundTraining(parts),
  turns: new KeyTurns()
})

/** What the writes of a key take turns by: no text has the character between the two, which is half of a pair. */
export const turnOf = (namespace: Namespace, key: string): string => `${namespace ?? ""}\ud800${key}`

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

  /** Starts a write of an entry with the vector it comes with; one whose vector is to be made of its text needs a fiber. */
  const writing =
    <C>(check: (store: Store, entry: EntryInput) => C, start: (checked: C, vector?: Float32Array) => Start<void>) =>
    (entry: EntryInput): Effect.Effect<void, SabineError> =>
      chosen(() =>
        wantsEmbedding(entry)
          ? Effect.gen(function* () {
              const checked = yield* attempt(() => check(store, entry))
              const vector = yield* vectorOf(entry)
              yield* directInRoom(making(() => start(checked, vector)))
            })
          : directInRoom(making(() => start(check(store, entry), givenVector(store, entry))))
      )

  /** The vector of the text of an entry. */
  const vectorOf = ({ text }: EntryInput): Effect.Effect<Float32Array, SabineError> =>
    abortable(async (signal) => {
      const embedded = await embed([checkedText("text", text)], "document", signal)
      checkVectors(store.kernels, store.shape, embedded)
      return embedded
    })

  /** Makes one write durable, then findable. Nobody else writes the key meanwhile, and many others wait for the same flush. */
  const write = <A>(key: string, prepare: () => Prepared<A>): Start<A> => inTurn(key, carryOut(log, prepare))

  /** Starts a call as the one write of its key. */
  const inTurn = <A>(key: string, start: Start<A>): Start<A> =>
    ending(together(turns.run([turnOf(namespace, key)], start)), trainInBackground)

  /** Starts a call once there is an encoder: one of those that find none makes it of its vector, or else the next. */
  const encodable =
    <A>(vector: Float32Array, start: Start<A>): Start<A> =>
    (done, fail) => {
      if (!needsFirstEncoder(store)) return start(done, fail)
      const made: Start<void> = (done, fail) => {
        firstEncoder(parts, vector).then(done, fail)
        return undefined
      }
      return turns.run([FIRST_ENCODER], made)(() => void start(done, fail), fail)
    }

  const addition = ({ key, payload, fields }: CheckedEntry, vector?: Float32Array): Start<void> => {
    if (vector === undefined) throw nothingGiven("a vector or a text")
    requireCodes(parts)
    const added = carryOut(log, () => {
      const code = scope()
      if (store.find(checkedKey(key, code)) >= 0) throw new DuplicateKey({ key })
      return preparedRow(store, { key, namespace, scope: code, payload, fields }, vector, -1)
    })
    return inTurn(key, encodable(vector, added))
  }

  const change = ({ key, payload, given }: CheckedChange, vector?: Float32Array): Start<void> => {
    if (vector === undefined && payload === undefined && given === undefined) {
      throw nothingGiven("a vector, a text, a payload or fields")
    }
    return write(key, () => {
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
        frames: [
          {
            operation: "patch",
            namespace,
            keys: [key],
            ...(payload && { payloads: [payload] }),
            ...(given && { fields: fields.values(0, 1) })
          }
        ],
        commit: () => {
          if (address !== undefined) store.replaceRecord(row, address)
          if (given !== undefined) store.replaceFields(row, fields.columns)
        },
        abort: () => {
          if (address !== undefined) store.records.free(address)
        }
      }
    })
  }

  const removal = (key: string): Start<boolean> => {
    checkedKey(key, NO_NAMESPACE)
    return write(key, (): Prepared<boolean> => {
      const found = locate(key)
      if (found === undefined) return { commit: () => false }
      const { row, encoded } = found
      const { scope } = encoded
      return {
        frames: [{ operation: "delete", namespace, keys: [key] }],
        commit: () => {
          store.remove(row, checkedKey(key, scope))
          return true
        }
      }
    })
  }

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
    trainInBackground()
  })

  const addMany: Writing["addMany"] = (entries, options = {}) =>
    Effect.flatMap(
      attempt(() => object("options", options)),
      (options) => limited(addAll(entries, options), { signal: options.signal })
    )

  return {
    add: writing(checkedEntry, addition),
    addMany,
    update: writing(checkedChange, change),
    delete: (key) => directInRoom(making(() => removal(key)))
  }
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

/** A change of an entry that was checked, but for its vector. */
interface CheckedChange extends Pick<CheckedEntry, "key" | "payload"> {
  /** The fields that it names. */
  readonly given: FieldInput | undefined
}

const checkedChange = (store: Store, entry: EntryInput): CheckedChange => {
  const { key, payload } = checkedEntry(store, entry)
  return { key, payload, given: entry.fields === undefined ? undefined : { ...entry.fields } }
}

/** Whether the vector of an entry is to be made of its text. */
const wantsEmbedding = (entry: EntryInput): boolean => entry?.vector === undefined && entry?.text !== undefined

/** The vector that an entry comes with as it is now, checked. */
const givenVector = ({ kernels, shape }: Store, { vector }: EntryInput): Float32Array | undefined =>
  vector === undefined ? undefined : ownVector(kernels, shape, vector)

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
    frames: [
      {
        operation: "put",
        namespace,
        keys: [key],
        payloads: [payload],
        fields: fields.values(0, 1),
        vectors: vector
      }
    ],
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
