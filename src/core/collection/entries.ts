/** Entries as callers give them, checked before anything changes. */
import { InvalidParameter } from "../errors.ts"
import { isLostInJson, refusingLost } from "../lossless-json.ts"
import { MAX_PAYLOAD_BYTES, type StoredPayload } from "../store/records.ts"
import { type EncodedKey, encodeKey, MAX_KEY_BYTES } from "../store/rows.ts"
import type { FieldInput, FieldValues } from "./fields.ts"

/**
 * A JSON value or a `Uint8Array`; absent for nothing. Bytes and other binary views, `Map` and `Set` inside a value are
 * refused. All else is as `JSON.stringify` has it: functions and `undefined` are dropped, `NaN` and the infinities become
 * `null`, a `Date` its text, other objects their own properties, none for a `RegExp`.
 */
export type Payload = unknown

/** What `add`, `addMany` and `update` take: a vector, or a text for the collection's embedder. */
export interface EntryInput {
  /** 1 to 1,024 bytes of UTF-8. */
  readonly key: string
  /** As many finite numbers as the collection has dimensions, not all zero. */
  readonly vector?: ArrayLike<number> | undefined
  /** Embedded when there is no vector. */
  readonly text?: string | undefined
  /** Default `{ text }` when a text is given. */
  readonly payload?: Payload
  /** Values of the collection's fields. `update` leaves those as they are that are not named; `null` takes one away. */
  readonly fields?: FieldInput | undefined
}

/** What `get` and iteration return. */
export interface Entry {
  readonly key: string
  readonly payload: Payload
  /** The vector as it is stored; absent when the precision is `"none"`. */
  readonly vector: Float32Array | undefined
  /** Absent in a collection without fields. */
  readonly fields?: FieldValues
}

/** The key in a namespace as bytes until the next call on this thread, or `InvalidParameter`. */
export const checkedKey = (key: unknown, scope: number, parameter = "key"): EncodedKey => {
  const encoded = typeof key === "string" ? encodeKey(key, scope) : undefined
  if (encoded !== undefined) return encoded
  throw new InvalidParameter({ parameter, reason: `wanted a string of 1 to ${MAX_KEY_BYTES} bytes of UTF-8` })
}

/** A payload as it is stored, or `InvalidParameter` when it is too long or not a JSON value. */
export const storedPayload = ({ payload, text }: Omit<EntryInput, "key">): StoredPayload => {
  if (payload === undefined) return text === undefined ? undefined : { json: jsonText({ text }) }
  if (!(payload instanceof Uint8Array)) {
    if (isLostInJson(payload)) throw invalidPayload("wanted a JSON value or a Uint8Array")
    return { json: jsonText(payload) }
  }
  if (payload.length > MAX_PAYLOAD_BYTES) throw invalidPayload(`longer than ${MAX_PAYLOAD_BYTES} bytes`)
  return { bytes: payload }
}

const invalidPayload = (reason: string) => new InvalidParameter({ parameter: "payload", reason })

/** Whether there is what an empty or full binary view, a `Map` or a `Set` or a `Buffer` becomes. */
const mayHaveLost = (json: string): boolean =>
  json.includes("{}") || json.includes('{"0":') || json.includes('{"type":"Buffer"')

const jsonText = (payload: unknown): string => {
  let json: string | undefined
  try {
    json = JSON.stringify(payload)
    // A replacer takes longer than all else: it looks where the text could come of a value that was lost.
    if (json !== undefined && mayHaveLost(json)) JSON.stringify(payload, refusingLost)
  } catch (error) {
    throw invalidPayload(`not a JSON value: ${String(error)}`)
  }
  if (json === undefined) throw invalidPayload(`not a JSON value: a ${typeof payload}`)
  // A character is at most three bytes: only text that could be too long is measured.
  if (json.length > MAX_PAYLOAD_BYTES / 3 && Buffer.byteLength(json) > MAX_PAYLOAD_BYTES) {
    throw invalidPayload(`longer than ${MAX_PAYLOAD_BYTES} bytes as JSON`)
  }
  return json
}
