/** What is known of an answer beside what it says of itself: tokens, and whether structured output was validated. */
import type {
  JSONSchema7,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart
} from "@ai-sdk/provider"
import type { AnswerFacts } from "../../cache.ts"
import { fitsSchema } from "../schema.ts"

/** Whether structured output is what its schema asks for. */
export type Validate = (value: unknown, schema: JSONSchema7) => boolean

/** Reads the facts of the answers to one call. */
export const factsOf =
  (params: LanguageModelV4CallOptions, validate: Validate | undefined) =>
  async (answer: unknown, form: string): Promise<AnswerFacts> => {
    const { usage, text } = form === "value" ? ofResult(answer) : ofParts(answer)
    return {
      inputTokens: usage?.inputTokens.total,
      outputTokens: usage?.outputTokens.total,
      isUnvalidated: !(await isValid(text, params, validate))
    }
  }

const ofResult = (answer: unknown) => {
  const { usage, content, structuredOutputText } = answer as LanguageModelV4GenerateResult
  const texts = content.map((part) => (part.type === "text" ? part.text : ""))
  return { usage, text: structuredOutputText ?? texts.join("") }
}

const ofParts = (answer: unknown) => {
  const parts = answer as ReadonlyArray<LanguageModelV4StreamPart>
  const finish = parts.find((part) => part.type === "finish")
  const texts = parts.map((part) => (part.type === "text-delta" ? part.delta : ""))
  return { usage: finish?.usage, text: texts.join("") }
}

const isValid = async (
  text: string,
  { responseFormat }: LanguageModelV4CallOptions,
  validate: Validate | undefined
): Promise<boolean> => {
  if (responseFormat?.type !== "json") return true
  const { schema } = responseFormat
  try {
    const value: unknown = JSON.parse(text)
    if (schema === undefined) return true
    return validate === undefined ? await fitsSchema(value, schema) : validate(value, schema) === true
  } catch {
    return false
  }
}
