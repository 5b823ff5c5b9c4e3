/** Answers as JSON that gives back what they were. */
import { refusingLost } from "../lossless-json.ts"
import type { Form } from "./packed.ts"

/** Whether an answer of this form is an array of chunks of bytes. */
export const isOfBytes = (form: Form): boolean => form === "iterable-bytes" || form === "readable-bytes"

const isBytes = (chunk: unknown): chunk is Uint8Array => chunk instanceof Uint8Array

/** A chunk of bytes as JSON. */
export const jsonOfBytes = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  `"${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}"`

/** As `refusingLost`, and no number that JSON makes null of. */
function refusing(this: unknown, name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${name} is ${value}`)
  return refusingLost.call(this, name, value)
}

/** The JSON of an answer; undefined when it has none that would give it back. */
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
