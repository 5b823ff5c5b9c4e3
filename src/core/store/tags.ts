/**
 * The dictionary of a store: texts that rows hold as numbers, for tags and for names of namespaces.
 *
 * It is a log in shared chunks that only grows: u16 length and UTF-8 of each text, whose code is its place in the log
 * counted from 1. Texts never straddle chunks; a length of `END`, or no room for a length, says that the next chunk
 * follows. The writer publishes the number of texts in the directory; a thread reads what is new to it when it meets
 * a code or a text it does not know.
 */
import { forEachSliced } from "../slice.ts"

const CHUNK_BYTES = 1 << 20
const LENGTH_BYTES = 2
/** In place of a length: the rest of the chunk is unused. */
const END = 0xffff
/** Longest text, in bytes of UTF-8. */
export const MAX_TAG_BYTES = 1024
/** Most bytes of all texts. */
export const MAX_DICTIONARY_BYTES = 2 ** 31
/** New texts that a thread reads when it meets one of them, at some microseconds each: before more, it waits for turns. */
const FEW = 64
/** What a code of no text is. */
export const UNKNOWN = 0

const encoder = new TextEncoder()

/** Reads the dictionary, on any thread. */
export class TagReader {
  readonly #chunks: Array<Buffer> = []
  /** The text of each code; none has code 0. */
  readonly #texts: Array<string> = [""]
  readonly #codes = new Map<string, number>()
  readonly #published: () => number
  readonly #catchUp: () => void
  #chunk = 0
  #at = 0

  /** `published` tells how many texts there are, `catchUp` adopts chunks that another thread made since. */
  constructor(published: () => number, catchUp: () => void = () => undefined) {
    this.#published = published
    this.#catchUp = catchUp
  }

  /** Takes in chunks made since. */
  adopt(buffers: ReadonlyArray<SharedArrayBuffer>): void {
    for (const buffer of buffers.slice(this.#chunks.length)) this.#chunks.push(Buffer.from(buffer))
  }

  /** The code of a text, or `UNKNOWN`: then no row had it when this was called. */
  code(text: string): number {
    const known = this.#codes.get(text)
    if (known !== undefined) return known
    while (this.step()) if (this.#codes.has(text)) break
    return this.#codes.get(text) ?? UNKNOWN
  }

  /** The text of a code; undefined when there is none. */
  text(code: number): string | undefined {
    while (code >= this.#texts.length && this.step());
    return this.#texts[code]
  }

  /** Whether there are so many new texts that they are to be read in turns, before one of them is met. */
  isFarBehind(): boolean {
    return this.#new > FEW
  }

  /** Reads new texts in turns. */
  catchUp(signal?: AbortSignal): Promise<void> {
    return forEachSliced(this.#new, signal, () => this.step())
  }

  /** Texts that were not read yet. */
  get #new(): number {
    return this.#published() - this.#texts.length + 1
  }

  /** Reads one text of the log; false when there is no other. */
  step(): boolean {
    if (this.#texts.length > this.#published()) return false
    const chunk = this.#chunkAt(this.#chunk)
    const length = this.#at + LENGTH_BYTES <= chunk.length ? chunk.readUInt16LE(this.#at) : END
    if (length === END) {
      this.#chunk++
      this.#at = 0
      return this.step()
    }
    const start = this.#at + LENGTH_BYTES
    const text = chunk.toString("utf8", start, start + length)
    this.#at = start + length
    this.#codes.set(text, this.#texts.push(text) - 1)
    return true
  }

  #chunkAt(index: number): Buffer {
    if (index >= this.#chunks.length) this.#catchUp()
    return this.#chunks[index]!
  }
}

interface Publishing {
  readonly published: () => number
  /** Makes the number of texts known to every thread. */
  readonly publish: (count: number) => void
  /** Called when a chunk was made, before anything in it is published. */
  readonly grown: () => void
}

/** Adds to the dictionary: the one writer. */
export class TagWriter extends TagReader {
  buffers: ReadonlyArray<SharedArrayBuffer> = []
  readonly #publishing: Publishing
  #end = 0
  /** Bytes of all texts and their lengths. */
  touchedBytes = 0

  constructor(publishing: Publishing) {
    super(publishing.published)
    this.#publishing = publishing
  }

  /** The code of a text of at most `MAX_TAG_BYTES`, which is added when it is new; -1 when there is no room. */
  intern(text: string): number {
    const known = this.code(text)
    if (known !== UNKNOWN) return known
    const packed = packedText(text)
    const wanted = packed.length
    if (this.touchedBytes + wanted > MAX_DICTIONARY_BYTES) return -1
    const last = this.buffers.at(-1)
    if (last === undefined || this.#end + wanted > last.byteLength) {
      if (last !== undefined && this.#end + LENGTH_BYTES <= last.byteLength) {
        Buffer.from(last).writeUInt16LE(END, this.#end)
      }
      this.#add(new SharedArrayBuffer(CHUNK_BYTES))
      this.#end = 0
      this.#publishing.grown()
    }
    Buffer.from(this.buffers.at(-1)!).set(packed, this.#end)
    this.#end += wanted
    this.touchedBytes += wanted
    this.#publishing.publish(this.#publishing.published() + 1)
    return this.code(text)
  }

  /** Adds a filled buffer of packed texts, as an image holds them, before any text is added. */
  adoptPacked(buffer: SharedArrayBuffer, count: number): void {
    this.#add(buffer)
    this.#end = buffer.byteLength
    this.touchedBytes = buffer.byteLength
    this.#publishing.publish(count)
  }

  get allocatedBytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0)
  }

  #add(buffer: SharedArrayBuffer): void {
    this.buffers = [...this.buffers, buffer]
    this.adopt(this.buffers)
  }
}

/** A text as the log and an image hold it. */
export const packedText = (text: string): Uint8Array => {
  const bytes = encoder.encode(text)
  const packed = new Uint8Array(LENGTH_BYTES + bytes.length)
  packed[0] = bytes.length & 0xff
  packed[1] = bytes.length >>> 8
  packed.set(bytes, LENGTH_BYTES)
  return packed
}

/** Whether packed bytes hold exactly `count` texts, of which nothing has been trusted yet. */
export const packedCount = (packed: Uint8Array): number => {
  let count = 0
  let at = 0
  while (at < packed.length) {
    if (at + LENGTH_BYTES > packed.length) return -1
    const length = packed[at]! | (packed[at + 1]! << 8)
    if (length > MAX_TAG_BYTES) return -1
    at += LENGTH_BYTES + length
    count++
  }
  return at === packed.length ? count : -1
}
