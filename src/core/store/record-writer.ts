/** Appends, moves and frees records: the one writer. */
import { RecordSpace } from "./record-space.ts"
import {
  BYTES,
  CAPACITY,
  CHUNK_BYTES,
  CHUNK_UNITS,
  HASH,
  HEADER_BYTES,
  JSON_TEXT,
  KEY_AND_KIND,
  MAX_RECORDS_BYTES,
  NONE,
  PAYLOAD_BYTES,
  RECORD_UNIT,
  RecordReader,
  type StoredPayload,
  wordOf
} from "./records.ts"

export class RecordWriter extends RecordReader {
  readonly buffers: Array<SharedArrayBuffer | undefined> = []
  readonly #free = new Map<number, Array<number>>()
  readonly #grown: () => void
  /** First unused unit, and the end of the chunk it lies in. */
  #next = 0
  #end = 0
  readonly #space: RecordSpace

  /**
   * `grown` is called when a buffer was made, before its first record can be found, and `release` with memory that holds
   * no record and may lose what it holds.
   */
  constructor(grown: () => void, release: (memory: Uint8Array) => void = () => undefined) {
    super()
    this.#grown = grown
    this.#space = new RecordSpace(CHUNK_UNITS, (window) => release(this.#windowBytes(window)))
  }

  /** Bytes of chunks handed out to records, live or free. */
  get touchedBytes(): number {
    return this.#space.touched * RECORD_UNIT
  }

  /** Writes a record and returns its address; -1 when the address space is full. */
  append(hash: number, key: Uint8Array, keyLength: number, payload: StoredPayload): number {
    const json = payload !== undefined && "json" in payload
    const payloadBytes = payload === undefined ? 0 : json ? Buffer.byteLength(payload.json) : payload.bytes.length
    const units = capacityUnits(Math.ceil((HEADER_BYTES + keyLength + payloadBytes) / RECORD_UNIT))
    const address = this.#take(units)
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
    if (!this.#space.clear(address, units)) return
    const list = this.#free.get(units)
    if (list === undefined) this.#free.set(units, [address])
    else list.push(address)
  }

  /** Stops writing into chunks that are mostly dead; whether there are any with records to be moved. */
  closeSparse(): boolean {
    const closed = this.#space.closeSparse()
    for (const [units, addresses] of this.#free) {
      this.#free.set(
        units,
        // Those of a window that is empty already would be handed out once more with it.
        addresses.filter((address) => this.#space.isOpen(address, units))
      )
    }
    if (this.#end > 0 && !this.#space.isOpen(this.#end - 1)) this.#next = this.#end
    return closed > 0
  }

  /** Copies a record out of a chunk that is written no more: the address of the copy, or -1 where it is to stay. */
  moveOut(address: number): number {
    const units = this.capacity(address)
    if (!this.#space.isClosed(address, units)) return -1
    const copy = this.#take(units)
    if (copy >= 0) this.whole(copy, units).set(this.whole(address))
    return copy
  }

  /** Adds a filled buffer of packed records, as an image holds them, before any record is appended. */
  adoptPacked(buffer: SharedArrayBuffer, usedBytes: number): void {
    const base = this.buffers.length * CHUNK_UNITS
    this.#addBuffer(buffer)
    this.#next = this.#end = this.buffers.length * CHUNK_UNITS
    this.#space.touch(base, usedBytes / RECORD_UNIT)
    this.#space.fill(base, usedBytes / RECORD_UNIT)
  }

  get allocatedBytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0)
  }

  /** Room for a record; -1 when the address space is full. */
  #take(units: number): number {
    const address = this.#free.get(units)?.pop() ?? this.#bump(units)
    if (address >= 0) this.#space.fill(address, units)
    return address
  }

  #bump(units: number): number {
    if (this.#next + units > this.#end) {
      const empty = units <= CHUNK_UNITS ? this.#space.takeEmpty() : undefined
      if (empty !== undefined) {
        this.#next = empty * CHUNK_UNITS
        this.#end = this.#next + this.#windowBytes(empty).length / RECORD_UNIT
      } else if (!this.#addChunks(Math.ceil(units / CHUNK_UNITS))) return -1
    }
    const address = this.#next
    this.#next += units
    this.#space.touch(address, units)
    return address
  }

  /** Goes on in new chunks; false when the address space is full. */
  #addChunks(count: number): boolean {
    const next = this.buffers.length * CHUNK_UNITS
    const end = next + count * CHUNK_UNITS
    if (end * RECORD_UNIT > MAX_RECORDS_BYTES) return false
    this.#addBuffer(new SharedArrayBuffer(count * CHUNK_BYTES))
    this.#next = next
    this.#end = end
    this.#grown()
    return true
  }

  #windowBytes(window: number): Uint8Array {
    const { base, bytes } = this.chunk(window * CHUNK_UNITS)
    const from = (window * CHUNK_UNITS - base) * RECORD_UNIT
    return bytes.subarray(from, from + CHUNK_BYTES)
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
