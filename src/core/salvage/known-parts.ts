/**
 * Entries of which parts are known, from different sources and moments: they are whole once every part is known and no
 * write between the moments can be missing.
 */
import type { FieldValue } from "../store/fields.ts"
import type { StoredPayload } from "../store/records.ts"
import type { Holes } from "./holes.ts"

/** A part of an entry as it was when a frame had been written. */
interface Known<A> {
  readonly value: A
  readonly asOf: number
}

export type EntryFields = Readonly<Record<string, FieldValue | null>>

/** Parts of an entry as they were found. */
export interface FoundParts {
  readonly namespace?: string | undefined
  readonly key: string
  readonly payload?: { readonly value: StoredPayload }
  readonly fields?: EntryFields
  readonly vector?: Float32Array | undefined
}

/** What is known of an entry. */
export interface KnownEntry {
  readonly namespace: string | undefined
  readonly key: string
  /** The newest moment at which it is known to have been there. */
  seen: number
  payload?: Known<StoredPayload> | undefined
  fields?: Known<EntryFields> | undefined
  vector?: Known<Float32Array> | undefined
}

/** A key in its namespace as one text: no text has the character between the two, it is half of a pair. */
export const placeOf = (namespace: string | undefined, key: string): string => `${namespace ?? ""}\ud800${key}`

export class KnownParts {
  readonly #entries = new Map<string, KnownEntry>()

  get size(): number {
    return this.#entries.size
  }

  entries(): Iterable<KnownEntry> {
    return this.#entries.values()
  }

  get(namespace: string | undefined, key: string): KnownEntry | undefined {
    return this.#entries.get(placeOf(namespace, key))
  }

  /** Takes parts as they were when frame `asOf` had been written; newer ones stay. */
  add(asOf: number, { namespace, key, payload, fields, vector }: FoundParts): void {
    const place = placeOf(namespace, key)
    const entry = this.#entries.get(place) ?? { namespace, key, seen: asOf }
    this.#entries.set(place, entry)
    entry.seen = Math.max(entry.seen, asOf)
    if (payload !== undefined) entry.payload = newer(entry.payload, payload.value, asOf)
    if (fields !== undefined) entry.fields = newer(entry.fields, fields, asOf)
    if (vector !== undefined) entry.vector = newer(entry.vector, vector, asOf)
  }

  /** The entry was deleted by frame `asOf`: what is known of it from before goes. */
  remove(asOf: number, namespace: string | undefined, key: string): void {
    const entry = this.get(namespace, key)
    if (entry === undefined) return
    if (entry.seen < asOf) this.forget(namespace, key)
    for (const part of ["payload", "fields", "vector"] as const) {
      if (entry[part] !== undefined && entry[part].asOf < asOf) entry[part] = undefined
    }
  }

  forget(namespace: string | undefined, key: string): void {
    this.#entries.delete(placeOf(namespace, key))
  }
}

const newer = <A>(known: Known<A> | undefined, value: A, asOf: number): Known<A> =>
  known !== undefined && known.asOf > asOf ? known : { value, asOf }

/** Payload and fields of an entry when they are of its newest state; `hasFields` tells whether its collection has any. */
export const contentOf = (
  { payload, fields, seen }: KnownEntry,
  hasFields: boolean,
  holes: Holes
): { readonly payload: StoredPayload; readonly fields: EntryFields; readonly asOf: number } | undefined => {
  if (payload === undefined || (hasFields && fields === undefined)) return undefined
  const moments = [payload.asOf, fields?.asOf ?? payload.asOf]
  if (!holes.connect(Math.min(...moments), seen)) return undefined
  return { payload: payload.value, fields: fields?.value ?? {}, asOf: Math.max(...moments) }
}
