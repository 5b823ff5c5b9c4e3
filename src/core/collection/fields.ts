/** The fields of entries as callers give them, checked and in the form that columns hold. */
import { object, shown } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import type { FrameFields } from "../log/frame.ts"
import { CONNECTIVES } from "../search/filter/filter.ts"
import { fieldNames } from "../search/filter/parse.ts"
import { forEachSliced } from "../slice.ts"
import type { FieldColumns, FieldValue } from "../store/fields.ts"
import { FIELD_TYPES, type FieldType, type FieldTypes } from "../store/layout.ts"
import type { Store } from "../store/store.ts"
import { MAX_TAG_BYTES } from "../store/tags.ts"

/** The fields of an entry: those that have a value, a timestamp in milliseconds. */
export type FieldValues = Readonly<Record<string, FieldValue>>
/** Fields as they are given: `null` or nothing for no value, a timestamp as a `Date` or in milliseconds. */
export type FieldInput = Readonly<Record<string, FieldValue | Date | null | undefined>>
/** Fields of a batch in columns: an array a field, one value a key. */
export type FieldInputColumns = Readonly<Record<string, ArrayLike<FieldValue | Date | null | undefined> | undefined>>

const MAX_FIELDS = 32
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/

const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })

/** The fields of a new collection; undefined for none. Throws `InvalidParameter`. */
export const checkedTypes = (fields: unknown): FieldTypes | undefined => {
  if (fields === undefined) return undefined
  const entries = Object.entries(object("fields", fields as object))
  if (entries.length > MAX_FIELDS) throw wrong("fields", `more than ${MAX_FIELDS}`)
  for (const [name, type] of entries) {
    if (!NAME.test(name) || CONNECTIVES.includes(name)) {
      throw wrong(
        `fields.${name}`,
        `a name is a letter, then up to 63 letters, digits and _, and none of ${CONNECTIVES}`
      )
    }
    if (!FIELD_TYPES.includes(type)) throw wrong(`fields.${name}`, `wanted one of ${FIELD_TYPES.join(", ")}`)
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** The fields in a message that compares them: the order of the columns is ours. */
export const typesText = (fields: FieldTypes = {}): string =>
  Object.entries(fields)
    .map(([name, type]) => `${name}: ${type}`)
    .sort()
    .join(", ") || "none"

/** The fields of a number of entries, checked and apart from what the caller gave. */
export class CheckedFields {
  readonly #types: FieldTypes
  readonly #names: ReadonlyArray<string>
  readonly #count: number
  /** Texts of tag fields; undefined for other fields and for none. */
  readonly #texts: ReadonlyArray<Array<string | undefined>>
  readonly #columns: FieldColumns

  constructor(types: FieldTypes | undefined, count: number) {
    this.#types = types ?? {}
    this.#names = Object.keys(this.#types)
    this.#count = count
    this.#texts = this.#names.map(() => [])
    this.#columns = this.#names.map(() => new Float64Array(count).fill(Number.NaN))
  }

  /** Takes the fields of entry `i`; throws `InvalidParameter` that names `parameter` and the field. */
  set(i: number, input: unknown, parameter: string): void {
    if (input === undefined) return
    for (const [name, value] of Object.entries(object(parameter, input as object))) {
      this.#setOne(i, this.#fieldOf(name, parameter), value, `${parameter}.${name}`)
    }
  }

  /** Takes the fields of all entries in columns. */
  async setColumns(input: unknown, parameter: string, signal: AbortSignal): Promise<void> {
    if (input === undefined) return
    for (const [name, values] of Object.entries(object(parameter, input as object))) {
      if (values === undefined) continue
      const field = this.#fieldOf(name, parameter)
      const isArray = Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView))
      const list = values as ArrayLike<unknown>
      if (!isArray || list.length !== this.#count)
        throw wrong(`${parameter}.${name}`, `wanted an array of ${this.#count}`)
      await forEachSliced(this.#count, signal, (i) => this.#setOne(i, field, list[i], `${parameter}.${name}[${i}]`))
    }
  }

  /** The columns, once the tags of entry `i` have joined the dictionary for every `i`. */
  get columns(): FieldColumns {
    return this.#columns
  }

  /** Gives the tags of entry `i` their codes. */
  intern(i: number, store: Store): void {
    for (const [f, texts] of this.#texts.entries()) {
      const text = texts[i]
      if (text !== undefined) this.#columns[f]![i] = store.intern(text)
    }
  }

  /** The values of entries `[from, to)` as a log keeps them; undefined in a collection without fields. */
  values(from: number, to: number): FrameFields | undefined {
    if (this.#names.length === 0) return undefined
    const value = (f: number, type: FieldType, i: number): FieldValue | null => {
      if (type === "tag") return this.#texts[f]![i] ?? null
      const found = this.#columns[f]![i]!
      if (Number.isNaN(found)) return null
      return type === "boolean" ? found !== 0 : found
    }
    return Object.fromEntries(
      this.#names.map((name, f) => [
        name,
        Array.from({ length: to - from }, (_, i) => value(f, this.#types[name]!, from + i))
      ])
    )
  }

  #fieldOf(name: string, parameter: string): number {
    const field = this.#names.indexOf(name)
    if (field < 0) throw wrong(`${parameter}.${name}`, `the collection has ${fieldNames(this.#names)}`)
    return field
  }

  #setOne(i: number, field: number, value: unknown, path: string): void {
    if (value === undefined || value === null) return
    const type = this.#types[this.#names[field]!]!
    if (type === "tag") this.#texts[field]![i] = tagText(value, path)
    else this.#columns[field]![i] = number(type, value, path)
  }
}

const tagText = (value: unknown, path: string): string => {
  if (typeof value === "string" && value.isWellFormed() && Buffer.byteLength(value) <= MAX_TAG_BYTES) return value
  throw wrong(path, `wanted a text of at most ${MAX_TAG_BYTES} bytes of UTF-8`)
}

const number = (type: Exclude<FieldType, "tag">, value: unknown, path: string): number => {
  if (type === "boolean") {
    if (typeof value === "boolean") return value ? 1 : 0
    throw wrong(path, `wanted true or false, got ${shown(value)}`)
  }
  const found = type === "timestamp" && value instanceof Date ? value.getTime() : value
  if (typeof found === "number" && Number.isFinite(found)) return found
  const wanted = type === "number" ? "a finite number" : "a date or milliseconds"
  throw wrong(path, `wanted ${wanted}, got ${shown(value)}`)
}
