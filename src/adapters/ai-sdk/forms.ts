/** Answers at once and answers in parts: either is made of the other, so that both share entries. */
import type { LanguageModelV4Content, LanguageModelV4GenerateResult, LanguageModelV4StreamPart } from "@ai-sdk/provider"

/** What is kept of an answer: what it says, without the bodies and headers it came in. */
export type KeptResult = Omit<LanguageModelV4GenerateResult, "request">

export const keptOf = ({ request, response, ...result }: LanguageModelV4GenerateResult): KeptResult => {
  if (response === undefined) return result
  const { body, headers, ...metadata } = response
  return { ...result, response: metadata }
}

/** What JSON makes a text of is a date again. */
export const revived = <A extends Pick<LanguageModelV4GenerateResult, "response">>(result: A): A => {
  const { timestamp } = result.response ?? {}
  if (timestamp === undefined) return result
  return { ...result, response: { ...result.response, timestamp: new Date(timestamp) } }
}

/** The parts of a stream that says what was said at once. */
export function* partsOf(result: KeptResult): Generator<LanguageModelV4StreamPart> {
  const { content, warnings, response, usage, finishReason, providerMetadata } = result
  yield { type: "stream-start", warnings }
  if (response !== undefined) yield { type: "response-metadata", ...response }
  for (const [i, part] of content.entries()) {
    const id = String(i)
    if (part.type === "text") {
      const { text, type, ...others } = part
      yield { type: "text-start", id }
      yield { type: "text-delta", id, delta: text }
      yield { type: "text-end", id, ...others }
    } else if (part.type === "reasoning") {
      const { text, type, ...others } = part
      yield { type: "reasoning-start", id }
      yield { type: "reasoning-delta", id, delta: text }
      yield { type: "reasoning-end", id, ...others }
    } else yield part
  }
  yield { type: "finish", usage, finishReason, ...(providerMetadata && { providerMetadata }) }
}

type Written = Extract<LanguageModelV4Content, { readonly type: "text" | "reasoning" }>

/** What a stream said, at once; rejects with the error that it tells of, or when it ends without its last part. */
export const resultOf = async (parts: AsyncIterable<LanguageModelV4StreamPart>): Promise<KeptResult> => {
  const content: Array<LanguageModelV4Content> = []
  const open = new Map<string, Written>()
  let result: Pick<KeptResult, "warnings" | "response"> = { warnings: [] }
  let end: Extract<LanguageModelV4StreamPart, { readonly type: "finish" }> | undefined
  for await (const part of parts) {
    switch (part.type) {
      case "error":
        throw part.error
      case "stream-start":
        result = { ...result, warnings: part.warnings }
        break
      case "response-metadata": {
        const { type, ...response } = part
        result = { ...result, response }
        break
      }
      case "text-start":
      case "reasoning-start": {
        const { providerMetadata } = part
        const type = part.type === "text-start" ? "text" : "reasoning"
        const written: Written = { type, text: "", ...(providerMetadata && { providerMetadata }) }
        open.set(`${type} ${part.id}`, written)
        content.push(written)
        break
      }
      case "text-delta":
      case "reasoning-delta": {
        const written = open.get(`${part.type === "text-delta" ? "text" : "reasoning"} ${part.id}`)
        if (written !== undefined) written.text += part.delta
        break
      }
      case "text-end":
      case "reasoning-end": {
        const { type, id, ...others } = part
        const written = open.get(`${type === "text-end" ? "text" : "reasoning"} ${id}`)
        if (written !== undefined) Object.assign(written, others)
        break
      }
      case "finish":
        end = part
        break
      case "tool-input-start":
      case "tool-input-delta":
      case "tool-input-end":
      case "ping":
      case "raw":
        break
      default:
        content.push(part)
    }
  }
  if (end === undefined) throw new Error("the stream ended before its last part")
  const { finishReason, usage, providerMetadata } = end
  return revived({ ...result, content, finishReason, usage, ...(providerMetadata && { providerMetadata }) })
}
