/** Answers of LangChain as JSON, and what they say of themselves. */
import { randomUUID } from "node:crypto"
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages"
import { type ChatGeneration, ChatGenerationChunk, type ChatResult, type Generation } from "@langchain/core/outputs"
import { type AnswerFacts, type Form, usualFacts } from "../../cache.ts"

/** What a message is made of. */
type Fields = ConstructorParameters<typeof AIMessageChunk>[0]

/** A generation or a chunk as it is kept. */
export interface KeptGeneration {
  readonly text: string
  readonly generationInfo?: Record<string, unknown> | undefined
  /** Of a chat model: the fields of its message. */
  readonly message?: Record<string, unknown> | undefined
}

/** What a message is made of, as it is by now: one that was made of blocks has them as its content. */
export const fieldsOf = (message: BaseMessage): Record<string, unknown> => {
  const { content_blocks, ...fields } = message.toDict().data as unknown as Record<string, unknown>
  const { content, name } = message
  return { ...fields, content, ...(name !== undefined && { name }) }
}

export const keptOf = (generation: Generation & { readonly message?: BaseMessage }): KeptGeneration => {
  const { text, generationInfo, message } = generation
  return { text, generationInfo, message: message && fieldsOf(message) }
}

/** A generation of a text model or of a chat model, as it was. */
export const generationOf = ({ text, generationInfo, message }: KeptGeneration): Generation | ChatGeneration => ({
  text,
  ...(generationInfo && { generationInfo }),
  ...(message && { message: new AIMessage(message as Fields) })
})

export const chunkOf = ({ text, generationInfo, message }: KeptGeneration): ChatGenerationChunk =>
  new ChatGenerationChunk({
    text,
    ...(generationInfo && { generationInfo }),
    message: new AIMessageChunk((message ?? { content: text }) as Fields)
  })

/** An id for an answer that is served again, as LangChain makes them: to who collects messages those of one id are one. */
export const newId = (runId: string = randomUUID()): string => `run-${runId}`

/** The whole of what came in chunks. */
export const resultOf = (chunks: ReadonlyArray<KeptGeneration>): ChatResult => {
  const [first, ...others] = chunks.map(chunkOf)
  if (first === undefined) return { generations: [] }
  const { text, generationInfo, message } = others.reduce((whole, chunk) => whole.concat(chunk), first)
  const whole = new AIMessage(fieldsOf(message) as Fields)
  return { generations: [{ text, ...(generationInfo && { generationInfo }), message: whole }] }
}

/** What generations, or the chunks of a stream, say of how they ended and what they took. */
export const factsOf = (generations: ReadonlyArray<KeptGeneration>, form: Form): AnswerFacts => {
  const told = usualFacts(
    generations.map(({ generationInfo, message }) => ({ message, response: generationInfo })),
    form === "value" ? "iterable" : form
  )
  const counted = generations.map(({ message }) => message?.["usage_metadata"] as Usage | undefined)
  return {
    finish: told.finish,
    hasToolCalls: told.hasToolCalls || generations.some(({ message }) => callsTools(message)),
    inputTokens: total(counted, "input_tokens"),
    outputTokens: total(counted, "output_tokens")
  }
}

interface Usage {
  readonly input_tokens?: number
  readonly output_tokens?: number
}

const total = (counted: ReadonlyArray<Usage | undefined>, name: keyof Usage): number | undefined => {
  const numbers = counted.flatMap((usage) => usage?.[name] ?? [])
  return numbers.length === 0 ? undefined : numbers.reduce((sum, number) => sum + number, 0)
}

const callsTools = (message: KeptGeneration["message"]): boolean =>
  ["tool_call_chunks", "invalid_tool_calls"].some((name) => {
    const calls = message?.[name]
    return Array.isArray(calls) && calls.length > 0
  }) || isCalled(message?.["additional_kwargs"])

const isCalled = (kwargs: unknown): boolean =>
  typeof kwargs === "object" && kwargs !== null && ("tool_calls" in kwargs || "function_call" in kwargs)
