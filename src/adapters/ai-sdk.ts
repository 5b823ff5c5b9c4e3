/**
 * The door of the AI SDK, version 7: middleware that answers from a semantic cache, and middleware that remembers
 * embeddings. Nothing of the SDK is loaded, only its types are used.
 */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4Middleware,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult
} from "@ai-sdk/provider"
import type { Answered, AskContext, CacheRequest, SemanticCache } from "../cache.ts"
import { DeadlineExceeded, EmbedderFailed, EmbedderRequestFailed, Overloaded } from "../core/errors.ts"
import { factsOf } from "./ai-sdk/facts.ts"
import { type KeptResult, keptOf, partsOf, resultOf, revived } from "./ai-sdk/forms.ts"
import { metadataOf, type SabineMetadata } from "./ai-sdk/metadata.ts"
import { askOptionsOf, type CachedOptions, requestOf } from "./ai-sdk/request.ts"

export { type CachedEmbeddingsOptions, cachedEmbeddings } from "./ai-sdk/embeddings.ts"
export type { SabineMetadata } from "./ai-sdk/metadata.ts"
export type { CachedOptions, CallOptions } from "./ai-sdk/request.ts"

/** One call of a model, as a middleware is told of it. */
interface Call {
  readonly model: LanguageModelV4
  readonly params: LanguageModelV4CallOptions
}

/** What a call came to: the answer in either form, and, of a call that asked the model itself, all that it said. */
interface Outcome<R> {
  readonly value: unknown
  readonly told: SabineMetadata
  readonly fresh: R | undefined
}

/**
 * Middleware for `wrapLanguageModel({ model, middleware: cached(cache) })`: `generateText` and `streamText` are answered
 * from the cache, or by the model, whose answer is kept. The text of the last user message may be near another; model,
 * provider, system prompt, earlier messages, tools, sampling parameters, response format and provider options must be the
 * same. Headers are no part of that. Both functions share entries: a stream is replayed from what was generated at once and
 * the other way round.
 *
 * `providerMetadata.sabine` of every answer is a `SabineMetadata`. Tool calls, cut, refused and failed answers are not kept, nor
 * is structured output that `validate` did not pass. `providerOptions.sabine` takes `CallOptions` for one call. When the
 * cache cannot embed a question or is overloaded, the model is asked as if there were no cache.
 */
export const cached = (cache: SemanticCache, options: CachedOptions = {}): LanguageModelV4Middleware => ({
  specificationVersion: "v4",
  wrapGenerate: async ({ model, params }) => {
    const { value, told, fresh } = await answered(cache, options, { model, params }, async (own) => {
      const result = await model.doGenerate(own)
      return { result, answer: keptOf(result) }
    })
    const result = fresh ?? (await wholeOf(value, params))
    return { ...result, providerMetadata: { ...result.providerMetadata, sabine: { ...told } } }
  },
  wrapStream: async ({ model, params }) => {
    const { value, told, fresh } = await answered<LanguageModelV4StreamResult>(
      cache,
      options,
      { model, params },
      async (own) => {
        const result = await model.doStream(own)
        return { result, answer: result.stream }
      }
    )
    const parts = isParts(value) ? value : partsOf(value as KeptResult)
    return { ...fresh, stream: ReadableStream.from(telling(parts, told, params)) }
  }
})

/** Answers a call from the cache or by `askModel`. */
const answered = async <R extends LanguageModelV4GenerateResult | LanguageModelV4StreamResult>(
  cache: SemanticCache,
  options: CachedOptions,
  { model, params }: Call,
  askModel: (own: LanguageModelV4CallOptions) => Promise<{ readonly result: R; readonly answer: unknown }>
): Promise<Outcome<R>> => {
  let fresh: R | undefined
  let isAsked = false
  const ask = cache.wrap(async (_: CacheRequest, { signal }: AskContext): Promise<unknown> => {
    isAsked = true
    // Others may wait for the same call: it ends when nobody does any more.
    const { result, answer } = await askModel({ ...params, abortSignal: signal })
    fresh = result
    return answer
  })
  let outcome: Answered<unknown>
  try {
    const facts = factsOf(params, options.validate)
    outcome = await ask(requestOf(model, params, options), {
      ...askOptionsOf(params, options),
      signal: params.abortSignal,
      facts
    })
  } catch (error) {
    params.abortSignal?.throwIfAborted()
    if (isAsked || !isPassing(error)) throw error
    const { result, answer } = await askModel(params)
    return { value: answer, told: { hit: false, reason: error._tag }, fresh: result }
  }
  return { value: outcome.value, told: metadataOf(outcome), fresh }
}

/** Failures of the cache that are no reason to leave a question without an answer. */
const PASSING = [EmbedderFailed, EmbedderRequestFailed, Overloaded, DeadlineExceeded]
const isPassing = (error: unknown): error is InstanceType<(typeof PASSING)[number]> =>
  PASSING.some((type) => error instanceof type)

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
