/**
 * An entry of the cache as it lies in a record, read where it lies: a look-up compares scopes and times of several
 * candidates and never touches the answers of those it does not serve.
 *
 * u8 version, u8 form, u16 unused, u32 bytes of the text, u32 bytes of the notes, f32 milliseconds the answer took, f64
 * made, f64 expires (infinite for never), f64 unused, 32 bytes of scope; then text, notes and answer, as UTF-8, the
 * latter two as JSON, in which chunks of bytes are base64.
 */
import { answerOf } from "./json.ts"

const VERSION = 1
const FORM = 1
const TEXT_BYTES = 4
const NOTES_BYTES = 8
const TOOK = 12
const MADE = 16
const EXPIRES = 24
const SCOPE = 40
const SCOPE_BYTES = 32
const HEADER_BYTES = SCOPE + SCOPE_BYTES

/**
 * What an answer was, and is again when it is served: a value, or a stream of either kind, of chunks that are JSON or bytes.
 */
export const FORMS = ["value", "iterable", "readable", "iterable-bytes", "readable-bytes"] as const
export type Form = (typeof FORMS)[number]

/** Of an entry what no look-up compares. */
export interface Notes {
  /** Labels that entries are invalidated by. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Documents that the answer was made from: it is invalidated when one of them changes. */
  readonly sources?: ReadonlyArray<string> | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  /** What the answer cost, in whatever money the caller counts. */
  readonly cost?: number | undefined
  /** Starts of the keys of questions that it was told to be no answer to. */
  readonly rejected?: ReadonlyArray<string> | undefined
}

interface Entry {
  readonly scope: Uint8Array
  readonly text: string
  readonly form: Form
  /** Milliseconds since 1970. */
  readonly made: number
  /** Milliseconds since 1970, infinite for never. */
  readonly expires: number
  /** Milliseconds that the model took. */
  readonly took: number
  readonly notes: Notes
  /** The value, or the array of chunks, as `jsonOf` wrote it. */
  readonly json: string
}

export const packed = ({ scope, text, form, made, expires, took, notes, json }: Entry): Buffer => {
  const words = JSON.stringify(notes)
  const textBytes = Buffer.byteLength(text)
  const notesBytes = Buffer.byteLength(words)
  const bytes = Buffer.alloc(HEADER_BYTES + textBytes + notesBytes + Buffer.byteLength(json))
  bytes[0] = VERSION
  bytes[FORM] = FORMS.indexOf(form)
  bytes.writeUInt32LE(textBytes, TEXT_BYTES)
  bytes.writeUInt32LE(notesBytes, NOTES_BYTES)
  bytes.writeFloatLE(took, TOOK)
  bytes.writeDoubleLE(made, MADE)
  bytes.writeDoubleLE(expires, EXPIRES)
  bytes.set(scope, SCOPE)
  bytes.write(text, HEADER_BYTES)
  bytes.write(words, HEADER_BYTES + textBytes)
  bytes.write(json, HEADER_BYTES + textBytes + notesBytes)
  return bytes
}

const isEntry = (bytes: Buffer, start: number, end: number): boolean => {
  if (end - start < HEADER_BYTES || bytes[start] !== VERSION || bytes[start + FORM]! >= FORMS.length) return false
  const textBytes = bytes.readUInt32LE(start + TEXT_BYTES)
  return HEADER_BYTES + textBytes + bytes.readUInt32LE(start + NOTES_BYTES) <= end - start
}

/** An entry where it lies: valid as long as the bytes are. */
export class PackedEntry {
  readonly #bytes: Buffer

  private constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Undefined when the bytes are no entry: whoever opens the collection may write into it. */
  static over(bytes: Buffer | undefined): PackedEntry | undefined {
    return bytes !== undefined && isEntry(bytes, 0, bytes.length) ? new PackedEntry(bytes) : undefined
  }

  /** `expires` of the entry that lies there, read without an object for it; undefined when the bytes are no entry. */
  static expiresIn(bytes: Buffer, start: number, end: number): number | undefined {
    return isEntry(bytes, start, end) ? bytes.readDoubleLE(start + EXPIRES) : undefined
  }

  get form(): Form {
    return FORMS[this.#bytes[FORM]!]!
  }
  get made(): number {
    return this.#bytes.readDoubleLE(MADE)
  }
  get expires(): number {
    return this.#bytes.readDoubleLE(EXPIRES)
  }
  get took(): number {
    return this.#bytes.readFloatLE(TOOK)
  }
  get text(): string {
    return this.#bytes.toString("utf8", HEADER_BYTES, this.#notesAt)
  }
  /** Throws `SyntaxError` where somebody else wrote something else. */
  get notes(): Notes {
    const notes: unknown = JSON.parse(this.#bytes.toString("utf8", this.#notesAt, this.#answerAt))
    if (typeof notes !== "object" || notes === null) throw new SyntaxError("wanted an object")
    return notes
  }
  /** The value, or the chunks: another object each time, so that nobody can change it for others. */
  get answer(): unknown {
    return answerOf(this.json, this.form)
  }
  get json(): string {
    return this.#bytes.toString("utf8", this.#answerAt)
  }

  /** A copy. */
  get scope(): Buffer {
    return Buffer.from(this.#bytes.subarray(SCOPE, HEADER_BYTES))
  }

  isOf(scope: Buffer): boolean {
    return scope.compare(this.#bytes, SCOPE, HEADER_BYTES) === 0
  }

  get #notesAt(): number {
    return HEADER_BYTES + this.#bytes.readUInt32LE(TEXT_BYTES)
  }
  get #answerAt(): number {
    return this.#notesAt + this.#bytes.readUInt32LE(NOTES_BYTES)
  }
}
