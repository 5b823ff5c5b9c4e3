/**
 * Keys and payloads, packed into shared chunks that never move.
 *
 * A record is found by the address in its row's `records` word, in units of 8 bytes; chunk `i`
 * holds addresses from `i * CHUNK_UNITS`. A record larger than a chunk gets a buffer of its own
 * that stands for several chunks, and so do the records that an image packed.
 *
 * Record: u32 key hash, u32 payload bytes, u16 key bytes, u8 kind, u8 unused, u32 capacity in
 * units; then key, which may start with a namespace, and payload.
 */

import { CAPACITY, HASH, HEADER_BYTES, KEY_AND_KIND, PAYLOAD_BYTES, RECORD_UNIT } from "../kernels/shape.ts"

export { CAPACITY, HASH, HEADER_BYTES, KEY_AND_KIND, PAYLOAD_BYTES, RECORD_UNIT }

/** Bytes of a chunk. */
export const CHUNK_BYTES = 1 << 22
export const CHUNK_UNITS = CHUNK_BYTES / RECORD_UNIT
/** Starts a key that lies in a namespace: a byte that UTF-8 never has, then the u32 code of the namespace. */
export const NAMESPACE_MARK = 0xff
export const NAMESPACE_BYTES = 5
/** Longest payload: its length is a u32, and V8 makes no longer string. */
export const MAX_PAYLOAD_BYTES = 2 ** 29 - 24
const MAX_UNITS = 2 ** 32
/** All records together are at most this long. */
export const MAX_RECORDS_BYTES = MAX_UNITS * RECORD_UNIT

/** A payload as it is stored: JSON text, bytes, or nothing. */
export type StoredPayload = { readonly json: string } | { readonly bytes: Uint8Array } | undefined
export const NONE = 0
export const JSON_TEXT = 1
export const BYTES = 2

/** A key as a record has it, with what precedes it in a namespace. */
interface StoredKey {
  readonly hash: number
  /** Valid as long as the record. */
  readonly bytes: Uint8Array
}

interface Chunk {
  /** Address of its first unit. */
  readonly base: number
  readonly bytes: Buffer
  readonly words: Uint32Array
}

/** Reads records, on any thread. */
export class RecordReader {
  readonly #chunks: Array<Chunk> = []
  readonly #catchUp: () => void

  /**
   * `catchUp` adopts what another thread made since. An address can be read before its chunk is known,
   * but never before the chunk was announced.
   */
  constructor(catchUp: () => void = () => undefined) {
    this.#catchUp = catchUp
  }

  /** Takes in chunks made since; undefined is one that the buffer before it also stands for. */
  adopt(buffers: ReadonlyArray<SharedArrayBuffer | undefined>): void {
    for (const buffer of buffers.slice(this.#chunks.length)) {
      const base = this.#chunks.length * CHUNK_UNITS
      this.#chunks.push(
        buffer === undefined
          ? this.#chunks.at(-1)!
          : { base, bytes: Buffer.from(buffer), words: new Uint32Array(buffer) }
      )
    }
  }

  hash(address: number): number {
    return this.#word(address, HASH)
  }

  /** Whether the record's key is the first `length` bytes of `key`. */
  keyEquals(address: number, key: Uint8Array, length: number): boolean {
    const chunk = this.chunk(address)
    const { bytes, words } = chunk
    const word = wordOf(chunk, address)
    if ((words[word + KEY_AND_KIND]! & 0xffff) !== length) return false
    const start = word * 4 + HEADER_BYTES
    for (let i = 0; i < length; i++) if (bytes[start + i] !== key[i]) return false
    return true
  }

  storedKey(address: number): StoredKey {
    const chunk = this.chunk(address)
    const start = wordOf(chunk, address) * 4 + HEADER_BYTES
    const length = this.#word(address, KEY_AND_KIND) & 0xffff
    return { hash: this.hash(address), bytes: chunk.bytes.subarray(start, start + length) }
  }

  /** The key as callers know it, without the namespace it lies in. */
  key(address: number): string {
    const chunk = this.chunk(address)
    const start = wordOf(chunk, address) * 4 + HEADER_BYTES
    const end = start + (this.#word(address, KEY_AND_KIND) & 0xffff)
    const from = chunk.bytes[start] === NAMESPACE_MARK ? start + NAMESPACE_BYTES : start
    return chunk.bytes.toString("utf8", from, end)
  }

  payload(address: number): unknown {
    const stored = this.stored(address)
    if (stored === undefined) return undefined
    return "json" in stored ? JSON.parse(stored.json) : stored.bytes
  }

  /** A copy of a payload as it is stored. */
  stored(address: number): StoredPayload {
    const chunk = this.chunk(address)
    const { bytes, words } = chunk
    const word = wordOf(chunk, address)
    const keyAndKind = words[word + KEY_AND_KIND]!
    const start = word * 4 + HEADER_BYTES + (keyAndKind & 0xffff)
    const end = start + words[word + PAYLOAD_BYTES]!
    const kind = keyAndKind >>> 16
    if (kind === JSON_TEXT) return { json: bytes.toString("utf8", start, end) }
    return kind === BYTES ? { bytes: new Uint8Array(bytes.subarray(start, end)) } : undefined
  }

  /**
   * The bytes of a payload where they lie, undefined when it is no `Uint8Array`: theirs only until the record is freed,
   * so for the owner's thread within a turn, or under a claim.
   */
  bytesAt(address: number): Buffer | undefined {
    return this.readBytes(address, subarray)
  }

  /** What `read` makes of these bytes, from `start` to `end` of others: nothing is allocated that it does not. */
  readBytes<A>(address: number, read: (bytes: Buffer, start: number, end: number) => A): A | undefined {
    const chunk = this.chunk(address)
    const { bytes, words } = chunk
    const word = wordOf(chunk, address)
    const keyAndKind = words[word + KEY_AND_KIND]!
    if (keyAndKind >>> 16 !== BYTES) return undefined
    const start = word * 4 + HEADER_BYTES + (keyAndKind & 0xffff)
    return read(bytes, start, start + words[word + PAYLOAD_BYTES]!)
  }

  /** Bytes in use by a record, its spare capacity left out. */
  usedBytes(address: number): number {
    return HEADER_BYTES + (this.#word(address, KEY_AND_KIND) & 0xffff) + this.#word(address, PAYLOAD_BYTES)
  }

  /** Bytes that a record of such a key and payload uses. */
  bytesFor(keyBytes: number, payloadBytes: number): number {
    return HEADER_BYTES + keyBytes + payloadBytes
  }

  /** Units set aside for a record. */
  capacity(address: number): number {
    return this.#word(address, CAPACITY)
  }

  /** All bytes set aside for a record, of so many units. */
  whole(address: number, units: number = this.capacity(address)): Uint8Array {
    const chunk = this.chunk(address)
    const start = wordOf(chunk, address) * 4
    return chunk.bytes.subarray(start, start + units * RECORD_UNIT)
  }

  #word(address: number, field: number): number {
    const chunk = this.chunk(address)
    return chunk.words[wordOf(chunk, address) + field]!
  }

  protected chunk(address: number): Chunk {
    const index = Math.floor(address / CHUNK_UNITS)
    if (index >= this.#chunks.length) this.#catchUp()
    return this.#chunks[index]!
  }
}

const subarray = (bytes: Buffer, start: number, end: number): Buffer => bytes.subarray(start, end)

/** Index of the first word of a record in its chunk. */
export const wordOf = (chunk: Chunk, address: number): number => (address - chunk.base) * (RECORD_UNIT / 4)

/** Units of a packed record that fits. */
export const recordCapacity = (packed: Uint32Array, address: number): number =>
  packed[address * (RECORD_UNIT / 4) + CAPACITY]!

/** Bytes of the parts of a packed record that fits, in order. */
export const recordSizes = (packed: Uint32Array, address: number) => {
  const word = address * (RECORD_UNIT / 4)
  return { header: HEADER_BYTES, key: packed[word + KEY_AND_KIND]! & 0xffff, payload: packed[word + PAYLOAD_BYTES]! }
}
