/**
 * Frames: what the log keeps of a write, in columns. Every frame sets the state of its keys absolutely, so that
 * replaying a run of frames over a store that already has some of them ends where the run did.
 *
 * Bytes: u64 number of the frame, u64 number of the frame before it of the same collection, u32 collection, u32 bytes
 * of the head; the head, JSON, padded to four; a u32 for each payload, its kind in the two highest bits and its bytes
 * in the others; f32 vectors, row-major; the payloads.
 */
import type { FieldValue } from "../store/fields.ts"
import type { StoredPayload } from "../store/records.ts"

/** `put` sets whole entries, `patch` the payload or the fields of one, `delete` takes entries away. */
type Operation = "put" | "patch" | "delete"

/** Values of the fields of a frame, one a key; null for none. */
export type FrameFields = Readonly<Record<string, ReadonlyArray<FieldValue | null>>>

export interface Frame {
  readonly operation: Operation
  /** Absent for entries without a namespace. */
  readonly namespace?: string | undefined
  readonly keys: ReadonlyArray<string>
  /** One a key; absent where payloads stay as they are. */
  readonly payloads?: ReadonlyArray<StoredPayload> | undefined
  readonly fields?: FrameFields | undefined
  /** Row-major, as the caller gave them. */
  readonly vectors?: Float32Array | undefined
}

interface Head extends Omit<Frame, "payloads" | "vectors"> {
  readonly hasPayloads: boolean
  readonly components: number
}

/** Bytes of the numbers that a frame starts with. */
export const HEAD = 24
const KIND_SHIFT = 30
const LENGTH_MASK = 2 ** KIND_SHIFT - 1
const NONE = 0
const JSON_TEXT = 1
const BYTES = 2

/** The place of a frame in the log. */
export interface FrameNumber {
  readonly number: number
  /** The frame before it of the same collection; 0 for none. */
  readonly previous: number
  readonly collection: number
}

/** A frame as bytes, its number to be filled in by `setNumber`. */
export const encodeFrame = ({ payloads = [], vectors, ...rest }: Frame): Uint8Array<ArrayBuffer> => {
  const components = vectors?.length ?? 0
  const head: Head = { ...rest, hasPayloads: payloads.length > 0, components }
  const text = JSON.stringify(head)
  const textBytes = Buffer.byteLength(text)
  const lengthsAt = HEAD + padded(textBytes)
  const vectorsAt = lengthsAt + 4 * payloads.length
  const payloadsAt = vectorsAt + 4 * components
  let length = payloadsAt
  for (const payload of payloads) length += bytesOf(payload)
  const bytes = Buffer.from(new ArrayBuffer(length))
  bytes.writeUInt32LE(textBytes, 20)
  bytes.write(text, HEAD)
  if (vectors !== undefined) {
    bytes.set(new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength), vectorsAt)
  }
  let at = payloadsAt
  for (let i = 0; i < payloads.length; i++) {
    const size = put(payloads[i], bytes, at)
    bytes.writeUInt32LE(((kindOf(payloads[i]) << KIND_SHIFT) | size) >>> 0, lengthsAt + 4 * i)
    at += size
  }
  return new Uint8Array(bytes.buffer)
}

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4

const kindOf = (payload: StoredPayload): number =>
  payload === undefined ? NONE : "json" in payload ? JSON_TEXT : BYTES

const bytesOf = (payload: StoredPayload): number => {
  if (payload === undefined) return 0
  return "json" in payload ? Buffer.byteLength(payload.json) : payload.bytes.length
}

/** Writes a payload from a place on; how many bytes it has. */
const put = (payload: StoredPayload, bytes: Buffer, at: number): number => {
  if (payload === undefined) return 0
  if ("json" in payload) return bytes.write(payload.json, at)
  bytes.set(payload.bytes, at)
  return payload.bytes.length
}

/** Writes the place of a frame into it. */
export const setNumber = (bytes: Uint8Array, { number, previous, collection }: FrameNumber): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD)
  view.setBigUint64(0, BigInt(number), true)
  view.setBigUint64(8, BigInt(previous), true)
  view.setUint32(16, collection, true)
}

export const numberOf = (bytes: Uint8Array): FrameNumber => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    number: Number(view.getBigUint64(0, true)),
    previous: Number(view.getBigUint64(8, true)),
    collection: view.getUint32(16, true)
  }
}

/** Reads a frame whose checksum was right. */
export const decodeFrame = (frame: Uint8Array): Frame => {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
  const textBytes = bytes.readUInt32LE(20)
  const { hasPayloads, components, ...rest } = JSON.parse(bytes.toString("utf8", HEAD, HEAD + textBytes)) as Head
  const lengthsAt = HEAD + padded(textBytes)
  const vectorsAt = lengthsAt + (hasPayloads ? 4 * rest.keys.length : 0)
  const vectors = new Float32Array(components)
  new Uint8Array(vectors.buffer).set(bytes.subarray(vectorsAt, vectorsAt + 4 * components))
  let at = vectorsAt + 4 * components
  const payload = (i: number): StoredPayload => {
    const size = bytes.readUInt32LE(lengthsAt + 4 * i)
    const from = at
    at += size & LENGTH_MASK
    const kind = size >>> KIND_SHIFT
    if (kind === JSON_TEXT) return { json: bytes.toString("utf8", from, at) }
    return kind === BYTES ? { bytes: Uint8Array.from(bytes.subarray(from, at)) } : undefined
  }
  return {
    ...rest,
    ...(hasPayloads && { payloads: rest.keys.map((_, i) => payload(i)) }),
    ...(components > 0 && { vectors })
  }
}
