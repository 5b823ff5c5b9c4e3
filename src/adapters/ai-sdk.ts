/**
 * The door of the AI SDK, version 7: middleware that answers from a semantic cache, and middleware that remembers
 * embeddings. Nothing of the SDK is loaded, only its types are used.
 */
import type { LanguageModelV4CallOptions, LanguageModelV4Middleware, LanguageModelV4StreamPart } from "@ai-sdk/provider"
import type { SemanticCache } from "../cache.ts"
import { type KeptResult, keptOf, partsOf, resultOf, revived } from "./ai-sdk/forms.ts"
import { type CachedOptions, callOf } from "./ai-sdk/request.ts"
import { answered, type SabineMetadata } from "./answered.ts"

export { type CachedEmbeddingsOptions, cachedEmbeddings } from "./ai-sdk/embeddings.ts"
export type { CachedOptions, CallOptions } from "./ai-sdk/request.ts"
export type { SabineMetadata } from "./answered.ts"

/**
 * Middleware for `wrapLanguageModel({ model, middleware: cached(cache) })`: `generateText` and `streamText` are answered
 * from the cache, or by the model, whose answer is kept. The text of the last user message may be near another; model,
 * provider, system prompt, earlier messages, tools, sampling parameters, response format and provider options must be the
 * same. Headers are no part of that. Both functions share entries: a stream is replayed from what was generated at once and
 * the other way round.
 *
 * `providerMetadata.sabine` of every answer is a `SabineMetadata`. Tool calls, cut, refused and failed answers are not kept, nor
 * is structured output that is not what its schema asks for. `providerOptions.sabine` takes `CallOptions` for one call. When the
 * cache cannot embed a question or is overloaded, the model is asked as if there were no cache.
 */
export const cached = (cache: SemanticCache, options: CachedOptions = {}): LanguageModelV4Middleware => ({
  specificationVersion: "v4",
  wrapGenerate: async ({ model, params }) => {
    const call = callOf(model, params, options)
    const { value, told, fresh } = await answered(cache, call, async (abortSignal) => {
      const result = await model.doGenerate(withSignal(params, abortSignal))
      return { result, answer: keptOf(result) }
    })
    const result = fresh ?? (await wholeOf(value, params))
    return { ...result, providerMetadata: { ...result.providerMetadata, sabine: { ...told } } }
  },
  wrapStream: async ({ model, params }) => {
    const call = callOf(model, params, options)
    const { value, told, fresh } = await answered(cache, call, async (abortSignal) => {
      const result = await model.doStream(withSignal(params, abortSignal))
      return { result, answer: result.stream }
    })
    const parts = isParts(value) ? value : partsOf(value as KeptResult)
    return { ...fresh, stream: ReadableStream.from(telling(parts, told, params)) }
  }
})

const withSignal = (params: LanguageModelV4CallOptions, abortSignal: AbortSignal | undefined) =>
  abortSignal === undefined ? params : { ...params, abortSignal }

const isParts = (value: unknown): value is ReadableStream<LanguageModelV4StreamPart> => value instanceof ReadableStream

/** An answer at once, whatever it was. */
const wholeOf = async (value: unknown, { abortSignal }: LanguageModelV4CallOptions) => {
  if (!isParts(value)) return revived(value as KeptResult)
  try {
    return await resultOf(value)
  } catch (error) {
    abortSignal?.throwIfAborted()
    throw error
  }
}

/** The parts of a stream, its last one with what the cache did. */
async function* telling(
  parts: AsyncIterable<LanguageModelV4StreamPart> | Iterable<LanguageModelV4StreamPart>,
  told: SabineMetadata,
  { abortSignal }: LanguageModelV4CallOptions
): AsyncGenerator<LanguageModelV4StreamPart> {
  try {
    for await (const part of parts) {
      if (part.type === "finish") {
        yield { ...part, providerMetadata: { ...part.providerMetadata, sabine: { ...told } } }
      } else yield part.type === "response-metadata" ? { ...part, ...revived({ response: part }).response } : part
    }
  } catch (error) {
    abortSignal?.throwIfAborted()
    throw error
  }
}
