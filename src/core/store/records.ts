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

/** Bytes of a chunk. */
const CHUNK_BYTES = 1 << 22
/** Bytes of a unit of addresses and capacities. */
export const RECORD_UNIT = 8
const CHUNK_UNITS = CHUNK_BYTES / RECORD_UNIT
const HEADER_BYTES = 16
const HASH = 0
const PAYLOAD_BYTES = 1
const KEY_AND_KIND = 2
const CAPACITY = 3
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
const NONE = 0
const JSON_TEXT = 1
const BYTES = 2

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
    const chunk = this.chunk(address)
    const { bytes, words } = chunk
    const word = wordOf(chunk, address)
    const keyAndKind = words[word + KEY_AND_KIND]!
    if (keyAndKind >>> 16 !== BYTES) return undefined
    const start = word * 4 + HEADER_BYTES + (keyAndKind & 0xffff)
    return bytes.subarray(start, start + words[word + PAYLOAD_BYTES]!)
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

  /** All bytes set aside for a record. */
  whole(address: number): Uint8Array {
    const chunk = this.chunk(address)
    const start = wordOf(chunk, address) * 4
    return chunk.bytes.subarray(start, start + this.capacity(address) * RECORD_UNIT)
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

const wordOf = (chunk: Chunk, address: number): number => (address - chunk.base) * (RECORD_UNIT / 4)

/** Whether the record at an address lies inside packed records of a file, of which nothing has been trusted yet. */
export const recordFits = (packed: Uint32Array, address: number): boolean => {
  const word = address * (RECORD_UNIT / 4)
  if (word + HEADER_BYTES / 4 > packed.length) return false
  const capacity = packed[word + CAPACITY]! * RECORD_UNIT
  const used = HEADER_BYTES + (packed[word + KEY_AND_KIND]! & 0xffff) + packed[word + PAYLOAD_BYTES]!
  return used <= capacity && word * 4 + capacity <= packed.length * 4
}

/** Appends and frees records: the one writer. */
export class RecordWriter extends RecordReader {
  readonly buffers: Array<SharedArrayBuffer | undefined> = []
  readonly #free = new Map<number, Array<number>>()
  readonly #grown: () => void
  /** First unused unit, and the end of the chunk it lies in. */
  #next = 0
  #end = 0
  /** Bytes of chunks handed out to records, live or free. */
  touchedBytes = 0

  /** `grown` is called when a buffer was made, before its first record can be found. */
  constructor(grown: () => void) {
    super()
    this.#grown = grown
  }

  /** Writes a record and returns its address; -1 when the address space is full. */
  append(hash: number, key: Uint8Array, keyLength: number, payload: StoredPayload): number {
    const json = payload !== undefined && "json" in payload
    const payloadBytes = payload === undefined ? 0 : json ? Buffer.byteLength(payload.json) : payload.bytes.length
    const units = capacityUnits(Math.ceil((HEADER_BYTES + keyLength + payloadBytes) / RECORD_UNIT))
    const address = this.#free.get(units)?.pop() ?? this.#bump(units)
    if (address < 0) return -1
    const chunk = this.chunk(address)
    const { bytes, words } = chunk
    const word = wordOf(chunk, address)
    words[word + HASH] = hash
    words[word + PAYLOAD_BYTES] = payloadBytes
    words[word + KEY_AND_KIND] = keyLength | ((payload === undefined ? NONE : json ? JSON_TEXT : BYTES) << 16)
    words[word + CAPACITY] = units
    const start = word * 4 + HEADER_BYTES
    for (let i = 0; i < keyLength; i++) bytes[start + i] = key[i]!
    if (payload !== undefined) {
      if (json) bytes.write(payload.json, start + keyLength)
      else bytes.set(payload.bytes, start + keyLength)
    }
    return address
  }

  /** Gives a record back: no reader may hold its address any more. */
  free(address: number): void {
    const units = this.capacity(address)
    const list = this.#free.get(units)
    if (list === undefined) this.#free.set(units, [address])
    else list.push(address)
  }

  /** Adds a filled buffer of packed records, as an image holds them, before any record is appended. */
  adoptPacked(buffer: SharedArrayBuffer, usedBytes: number): void {
    this.#addBuffer(buffer)
    this.#next = this.#end = this.buffers.length * CHUNK_UNITS
    this.touchedBytes += usedBytes
  }

  get allocatedBytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0)
  }

  #bump(units: number): number {
    if (this.#next + units > this.#end) {
      this.#next = this.buffers.length * CHUNK_UNITS
      const chunks = Math.ceil(units / CHUNK_UNITS)
      if (this.#next + chunks * CHUNK_UNITS > MAX_UNITS) return -1
      this.#addBuffer(new SharedArrayBuffer(chunks * CHUNK_BYTES))
      this.#end = this.#next + chunks * CHUNK_UNITS
      this.#grown()
    }
    const address = this.#next
    this.#next += units
    this.touchedBytes += units * RECORD_UNIT
    return address
  }

  #addBuffer(buffer: SharedArrayBuffer): void {
    this.buffers.push(buffer)
    for (let bytes = CHUNK_BYTES; bytes < buffer.byteLength; bytes += CHUNK_BYTES) this.buffers.push(undefined)
    this.adopt(this.buffers)
  }
}

/** Capacities are exact up to 64 units and then in eighths of a power of two: at most 12.5 % spare. */
const capacityUnits = (units: number): number => {
  if (units <= 64) return units
  const step = 2 ** (Math.floor(Math.log2(units)) - 3)
  return Math.ceil(units / step) * step
}
