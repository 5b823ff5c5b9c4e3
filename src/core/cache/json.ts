/** Answers as JSON that gives back what they were. */
import { AnswerLook, TooLong } from "./answer-look.ts"
import type { Form } from "./packed.ts"

/** Whether an answer of this form is an array of chunks of bytes. */
export const isOfBytes = (form: Form): boolean => form === "iterable-bytes" || form === "readable-bytes"

/** The JSON of an answer, or why there is none: it has no form that would give it back, or one that is longer than may be. */
export type Written =
  | { readonly json: string }
  | { readonly json: undefined; readonly reason: "not-json" | "too-large" }

const unwritten = (reason: "not-json" | "too-large"): Written => ({ json: undefined, reason })

/**
 * The JSON of an answer, of `most` bytes at most. Properties that are undefined or functions are left out, and what tells of
 * itself as JSON, such as a date, is what it tells.
 */
export const jsonOf = (answer: unknown, form: Form, most: number): Written => {
  try {
    const json = form === "value" ? textOf(answer, most) : textOfChunks(answer, form, most)
    if (json === undefined) return unwritten("not-json")
    return json.length > most || Buffer.byteLength(json) > most ? unwritten("too-large") : { json }
  } catch (error) {
    // Cycles, big integers, what is nested too deep, and whatever an object does that is read.
    return unwritten(error instanceof TooLong ? "too-large" : "not-json")
  }
}

const textOf = (answer: unknown, most: number): string | undefined => {
  new AnswerLook(most).value(answer, "")
  return JSON.stringify(answer)
}

const textOfChunks = (answer: unknown, form: Form, most: number): string | undefined => {
  if (!Array.isArray(answer)) return undefined
  if (!isOfBytes(form)) return textOf(answer, most)
  const look = new AnswerLook(most)
  const texts: Array<string> = []
  for (const chunk of answer) {
    if (!(chunk instanceof Uint8Array)) return undefined
    look.takes(chunk.byteLength)
    texts.push(textOfBytes(chunk))
  }
  return `[${texts.join(",")}]`
}

const textOfBytes = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  `"${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}"`

/** The JSON of a chunk of a stream, of `most` bytes at most. */
export const jsonOfChunk = (chunk: unknown, most: number): Written => {
  if (!(chunk instanceof Uint8Array)) return jsonOf(chunk, "value", most)
  return chunk.byteLength > most ? unwritten("too-large") : { json: textOfBytes(chunk) }
}

/** What `jsonOf` wrote, as it was. Throws `SyntaxError` on anything else. */
export const answerOf = (json: string, form: Form): unknown => {
  const answer: unknown = JSON.parse(json)
  if (!isOfBytes(form)) return answer
  if (!Array.isArray(answer)) throw new SyntaxError("wanted an array of chunks")
  return answer.map((chunk) => new Uint8Array(Buffer.from(String(chunk), "base64")))
}
