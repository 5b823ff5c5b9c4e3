/** Calls of the AI SDK as requests of the cache. */
import type { LanguageModelV4, LanguageModelV4CallOptions } from "@ai-sdk/provider"
import type { AskOptions, CacheMessage, CacheRequest } from "../../cache.ts"
import { factsOf, type Validate } from "./facts.ts"

/** What a single call asks of the cache, as `providerOptions: { sabine: { … } }`. */
export interface CallOptions
  extends Pick<AskOptions, "source" | "threshold" | "maxAgeMs" | "ttlMs" | "tags" | "sources"> {
  /** Whose question it is. Answers never cross tenants. */
  readonly tenant?: string | undefined
}

export interface CachedOptions extends CallOptions {
  /**
   * Whether structured output is what its schema asks for; it is given the parsed JSON. The SDK itself validates only after
   * this middleware. Default: the JSON Schema is checked here, and nothing is kept where it has keywords that are not known,
   * such as `format`. Output without a schema must be JSON.
   */
  readonly validate?: Validate | undefined
  /** What else an answer depends on, such as a header: JSON that must be the same. Default: nothing. */
  readonly scope?: ((params: LanguageModelV4CallOptions) => unknown) | undefined
}

/** The options of one call: those that it has, then those of the middleware. */
const callOptionsOf = ({ providerOptions }: LanguageModelV4CallOptions, options: CachedOptions): CallOptions => {
  const given = Object.entries(providerOptions?.["sabine"] ?? {})
  return { ...options, ...Object.fromEntries(given.filter(([, value]) => value !== undefined && value !== null)) }
}

/** Everything that an answer depends on: what the next version of the SDK adds is a part of it too. */
const requestOf = (
  model: LanguageModelV4,
  params: LanguageModelV4CallOptions,
  options: CachedOptions
): CacheRequest => {
  const { prompt, tools, toolChoice, abortSignal, headers, providerOptions = {}, includeRawChunks, ...others } = params
  const { sabine, ...providers } = providerOptions
  return {
    tenant: callOptionsOf(params, options).tenant,
    model: `${model.provider}/${model.modelId}`,
    tools: tools && { tools, toolChoice },
    parameters: {
      ...others,
      // Said of streams alone, which share entries with answers at once.
      includeRawChunks: includeRawChunks || undefined,
      providerOptions: providers,
      scope: options.scope?.(params)
    },
    messages: prompt satisfies ReadonlyArray<CacheMessage>
  }
}

/** A call as the cache is asked. */
export const callOf = (
  model: LanguageModelV4,
  params: LanguageModelV4CallOptions,
  options: CachedOptions
): { readonly request: CacheRequest; readonly options: AskOptions } => {
  const { source, threshold, maxAgeMs, ttlMs, tags, sources } = callOptionsOf(params, options)
  const facts = factsOf(params, options.validate)
  return {
    request: requestOf(model, params, options),
    options: { source, threshold, maxAgeMs, ttlMs, tags, sources, facts, signal: params.abortSignal }
  }
}
