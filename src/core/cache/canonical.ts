/**
 * Values as one text each: two get the same text only when they are the same, whatever the order of their properties.
 *
 * It is JSON with sorted properties, but for bytes, which JSON has no form for: what cannot be told apart is refused. It is
 * written in shares, so that a long one need not be put together in one go.
 */
import { InvalidParameter } from "../errors.ts"

/** Deepest value that is read: one that contains itself has no end. */
const MAX_DEPTH = 64
/** Characters or bytes of a share, some tenths of a millisecond; a multiple of 3, which base64 takes bytes in. */
const SHARE = 3 << 14

/** Whether a cut at `at` is amid a character, whose halves JSON escapes where they are parted. */
const isAmid = (text: string, at: number): boolean =>
  (text.charCodeAt(at - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(at) & 0xfc00) === 0xdc00

const base64 = ({ buffer, byteOffset }: Uint8Array, from: number, to: number): string =>
  Buffer.from(buffer, byteOffset + from, to - from).toString("base64")

/** The canonical text of a value as it is written; throws `InvalidParameter` with the path of what has none. */
export class Canonical {
  #text = ""
  readonly #path: Array<string | number>

  constructor(parameter: string) {
    this.#path = [parameter]
  }

  /** Writes a value; pauses where there is a share of its text to take. */
  *write(value: unknown): Generator<void, void> {
    if (!this.#writeShort(value)) yield* this.#writeLong(value as string | object)
  }

  /** What was written since it was taken last. */
  take(): string {
    const text = this.#text
    this.#text = ""
    return text
  }

  get #isShare(): boolean {
    return this.#text.length >= SHARE
  }

  /** Writes a value without parts at once; false, and nothing written, where there are any or it is long. */
  #writeShort(value: unknown): boolean {
    switch (typeof value) {
      case "string":
        if (value.length > SHARE) return false
        this.#text += JSON.stringify(value)
        return true
      case "boolean":
        this.#text += value
        return true
      case "number":
        if (!Number.isFinite(value)) throw this.#wrong(`wanted a finite number, got ${value}`)
        this.#text += value
        return true
      case "object":
        if (value !== null) return false
        this.#text += "null"
        return true
      default:
        throw this.#wrong(`wanted a JSON value, got a ${typeof value}`)
    }
  }

  *#writeLong(value: string | object): Generator<void, void> {
    if (typeof value === "string") return yield* this.#writeText(value)
    if (value instanceof Uint8Array) return yield* this.#writeBytes(value)
    if (this.#path.length > MAX_DEPTH) throw this.#wrong(`nested more than ${MAX_DEPTH} deep`)
    if (Array.isArray(value)) return yield* this.#writeArray(value)
    if (value instanceof URL || value instanceof Date) this.#text += JSON.stringify(value)
    else yield* this.#writeObject(value)
  }

  *#writeText(value: string): Generator<void, void> {
    this.#text += '"'
    for (let from = 0, to = 0; from < value.length; from = to) {
      to = from + SHARE
      if (isAmid(value, to)) to++
      this.#text += JSON.stringify(value.slice(from, to)).slice(1, -1)
      if (this.#isShare) yield
    }
    this.#text += '"'
  }

  *#writeBytes(value: Uint8Array): Generator<void, void> {
    this.#text += 'b"'
    for (let from = 0; from < value.length; from += SHARE) {
      this.#text += base64(value, from, Math.min(from + SHARE, value.length))
      if (this.#isShare) yield
    }
    this.#text += '"'
  }

  *#writeArray(value: ReadonlyArray<unknown>): Generator<void, void> {
    const level = this.#path.push(0) - 1
    this.#text += "["
    for (let i = 0; i < value.length; i++) {
      if (i > 0) this.#text += ","
      this.#path[level] = i
      // What was never set is there all the same.
      const item = value[i] ?? null
      if (!this.#writeShort(item)) yield* this.#writeLong(item as string | object)
      if (this.#isShare) yield
    }
    this.#text += "]"
    this.#path.pop()
  }

  *#writeObject(value: object): Generator<void, void> {
    const prototype = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) throw this.#wrong("wanted a plain object")
    const known = Object.entries(value).filter(([, part]) => part !== undefined && typeof part !== "function")
    known.sort(([a], [b]) => (a < b ? -1 : 1))
    const level = this.#path.push("") - 1
    this.#text += "{"
    for (const [i, [name, part]] of known.entries()) {
      this.#text += `${i > 0 ? "," : ""}${JSON.stringify(name)}:`
      this.#path[level] = name
      if (!this.#writeShort(part)) yield* this.#writeLong(part)
      if (this.#isShare) yield
    }
    this.#text += "}"
    this.#path.pop()
  }

  #wrong(reason: string): InvalidParameter {
    const steps = this.#path.map((step, i) => (typeof step === "number" ? `[${step}]` : i > 0 ? `.${step}` : step))
    return new InvalidParameter({ parameter: steps.join(""), reason })
  }
}
