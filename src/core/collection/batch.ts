/** Many entries as one source of keys, payloads and vectors, whichever way the caller holds them. */
import { object } from "../checked.ts"
import { EmptyEmbedding, InvalidParameter } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import type { StoreShape } from "../store/memory.ts"
import type { StoredPayload } from "../store/records.ts"
import { type EntryInput, type Payload, storedPayload } from "./entries.ts"
import { CheckedFields, type FieldInputColumns } from "./fields.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { checkForm } from "./vectors.ts"

/** Entries in columns: the quickest form of a batch. */
export interface EntryColumns {
  /** Each 1 to 1,024 bytes of UTF-8. */
  readonly keys: ReadonlyArray<string>
  /** Row-major, `keys.length x dimensions`. */
  readonly vectors: Float32Array
  /** One a key; absent for none. */
  readonly payloads?: ReadonlyArray<Payload> | undefined
  /** An array a field, one value a key: `{ year: [2019, 2024], lang: ["en", null] }`. */
  readonly fields?: FieldInputColumns | undefined
}

export interface Batch {
  readonly count: number
  /** Keys as they were when the batch was given; not checked. */
  readonly keys: ReadonlyArray<string>
  payload(i: number): StoredPayload
  readonly fields: CheckedFields
  /** Copies the vectors of entries `[from, to)` to the start of `out`. */
  copyVectors(from: number, to: number, out: Float32Array): void
}

const columnBatch = async (
  shape: StoreShape,
  { keys, vectors, payloads, fields }: EntryColumns,
  signal: AbortSignal
): Promise<Batch> => {
  const { dimensions } = shape
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (!Array.isArray(keys)) throw wrong("keys", "wanted an array")
  if (!(vectors instanceof Float32Array) || vectors.length !== keys.length * dimensions) {
    throw wrong("vectors", `wanted a Float32Array of ${keys.length} x ${dimensions} components`)
  }
  if (payloads !== undefined && !(Array.isArray(payloads) && payloads.length === keys.length)) {
    throw wrong("payloads", `wanted an array of ${keys.length}`)
  }
  const checked = new CheckedFields(shape.fields, keys.length)
  const own = [...keys]
  await checked.setColumns(fields, "fields", signal)
  return {
    count: own.length,
    keys: own,
    fields: checked,
    payload: (i) => storedPayload({ payload: payloads?.[i] }),
    copyVectors: (from, to, out) => out.set(vectors.subarray(from * dimensions, to * dimensions))
  }
}

const isColumns = (input: ReadonlyArray<EntryInput> | EntryColumns): input is EntryColumns => !Array.isArray(input)

/** Checks the form of a batch and embeds its texts. */
export const toBatch = async (
  shape: StoreShape,
  embed: EmbedTexts,
  input: ReadonlyArray<EntryInput> | EntryColumns,
  signal: AbortSignal
): Promise<Batch> => {
  if (isColumns(input)) return columnBatch(shape, object("entries", input), signal)
  const { dimensions } = shape
  const entries = [...input]
  const keys: Array<string> = []
  const checked = new CheckedFields(shape.fields, entries.length)
  /** Entries that have no vector, and the position of each among them. */
  const ofTexts: Array<number> = []
  const rank = new Map<number, number>()
  const texts: Array<string> = []
  await forEachSliced(entries.length, signal, (i) => {
    const { key, vector, text, fields } = object(`entries[${i}]`, entries[i]!)
    keys.push(key)
    checked.set(i, fields, `entries[${i}].fields`)
    if (vector !== undefined) return checkForm(shape, vector, i)
    rank.set(i, ofTexts.push(i) - 1)
    texts.push(checkedText(`entries[${i}].vector`, text))
  })
  const embedded = texts.length === 0 ? new Float32Array() : await embedBatch(embed, texts, ofTexts, signal)
  const vectorOf = (i: number): ArrayLike<number> => {
    const at = rank.get(i)
    return at === undefined ? entries[i]!.vector! : embedded.subarray(at * dimensions, (at + 1) * dimensions)
  }
  return {
    count: entries.length,
    keys,
    fields: checked,
    payload: (i) => storedPayload(entries[i]!),
    copyVectors: (from, to, out) => {
      for (let i = from; i < to; i++) out.set(vectorOf(i), (i - from) * dimensions)
    }
  }
}

/** Embeds texts; an empty one is named by its entry, not by its place among the texts. */
const embedBatch = (
  embed: EmbedTexts,
  texts: ReadonlyArray<string>,
  entries: ReadonlyArray<number>,
  signal: AbortSignal
): Promise<Float32Array> =>
  embed(texts, "document", signal).catch((error) => {
    if (!(error instanceof EmptyEmbedding)) throw error
    throw new EmptyEmbedding({ index: entries[error.index] ?? error.index, text: error.text })
  })
