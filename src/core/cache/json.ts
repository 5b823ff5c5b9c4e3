/** Answers as JSON that gives back what they were. */
import { refusingLost } from "../lossless-json.ts"
import type { Form } from "./packed.ts"

/** Whether an answer of this form is an array of chunks of bytes. */
export const isOfBytes = (form: Form): boolean => form === "iterable-bytes" || form === "readable-bytes"

const isBytes = (chunk: unknown): chunk is Uint8Array => chunk instanceof Uint8Array

/** A chunk of bytes as JSON. */
export const jsonOfBytes = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  `"${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}"`

/** What JSON makes an empty object of. */
const EMPTIED = [Error, RegExp, Promise, WeakMap, WeakSet]

/** Whether JSON makes null of what is something else: a number without a form, an invalid date, what an array has no form for. */
const isNulled = (original: unknown, isItem: boolean): boolean => {
  if (original instanceof Date) return Number.isNaN(original.getTime())
  if (typeof original === "number" || original instanceof Number) return !Number.isFinite(Number(original))
  return isItem && (original === undefined || typeof original === "function" || typeof original === "symbol")
}

const isEmptied = (value: unknown): boolean =>
  typeof value === "object" && EMPTIED.some((type) => value instanceof type)

/** As `refusingLost`, and nothing that JSON makes null or an empty object of. */
function refusing(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[name]
  if (isNulled(original, Array.isArray(this)) || isEmptied(value)) {
    throw new TypeError(`${name} has no form in JSON`)
  }
  return refusingLost.call(this, name, value)
}

/**
 * The JSON of an answer; undefined when it has none that would give it back. Properties that are undefined or functions are left
 * out, and what tells of itself as JSON, such as a date, is what it tells.
 */
export const jsonOf = (answer: unknown, form: Form = "value"): string | undefined => {
  if (form !== "value") {
    if (!Array.isArray(answer)) return undefined
    const chunks: ReadonlyArray<unknown> = answer
    if (isOfBytes(form)) return chunks.every(isBytes) ? `[${chunks.map(jsonOfBytes).join(",")}]` : undefined
  }
  try {
    return JSON.stringify(answer, refusing)
  } catch (error) {
    // Also cycles and big integers.
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** What `jsonOf` wrote, as it was. Throws `SyntaxError` on anything else. */
export const answerOf = (json: string, form: Form): unknown => {
  const answer: unknown = JSON.parse(json)
  if (!isOfBytes(form)) return answer
  if (!Array.isArray(answer)) throw new SyntaxError("wanted an array of chunks")
  return answer.map((chunk) => new Uint8Array(Buffer.from(String(chunk), "base64")))
}
