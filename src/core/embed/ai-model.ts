/** Embedding models of the AI SDK, by the methods they have. */
import { wholeNumber } from "../checked.ts"
import { EmbedderFailed, EmbedderRequestFailed } from "../errors.ts"
import { embedBatched } from "./batched.ts"
import { systemClock } from "./clock.ts"
import { asked, batchesOf, type EmbedderOfOptions, meterOf, type OpenMeteredEmbedder } from "./open-embedder.ts"
import { errorOf, retryAfterMs } from "./request.ts"
import { classifyStatus, MAX_RETRIES, MAX_TIMEOUT_MS, retrying } from "./retrying.ts"

/** What is used of `EmbeddingModelV2`, `V3` and `V4` of `@ai-sdk/provider`. */
export interface AiEmbeddingModel {
  readonly specificationVersion: "v2" | "v3" | "v4"
  readonly provider: string
  readonly modelId: string
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined
  readonly supportsParallelCalls: PromiseLike<boolean> | boolean
  doEmbed(options: { values: Array<string>; abortSignal: AbortSignal }): PromiseLike<{
    readonly embeddings: ReadonlyArray<ReadonlyArray<number>>
    readonly usage?: { readonly tokens: number } | undefined
  }>
}

export const isAiModel = (source: object): source is AiEmbeddingModel =>
  "doEmbed" in source && typeof source.doEmbed === "function"

/** Retries are made here: a model alone makes none. */
export const openAiModel = (model: AiEmbeddingModel, options: EmbedderOfOptions): OpenMeteredEmbedder => {
  const { provider, modelId } = model
  const { id = `ai-sdk:${provider}:${modelId}`, dimensions, clock = systemClock } = options
  const { batchSize, concurrency } = batchesOf(options, 4)
  const meter = meterOf(options)
  const policy = {
    embedder: id,
    timeout: wholeNumber("timeout", options.timeout ?? 60_000, 1, MAX_TIMEOUT_MS),
    maxRetries: wholeNumber("maxRetries", options.maxRetries ?? 5, 0, MAX_RETRIES),
    clock,
    onRequest: meter.onRequest
  }
  const failure = (cause: unknown) => failureOf(id, cause)
  return {
    id,
    dimensions,
    get usage() {
      return meter.usage()
    },
    embed: async (texts, { signal } = {}) => {
      const [most, parallel] = await Promise.all([model.maxEmbeddingsPerCall, model.supportsParallelCalls])
      const batching = {
        embedder: id,
        dimensions,
        batchSize: Math.max(1, Math.min(batchSize, most ?? batchSize)),
        concurrency: parallel ? concurrency : 1
      }
      return embedBatched(batching, texts, signal, async (values, either) => {
        const attempt = (abortSignal: AbortSignal) =>
          asked(id, abortSignal, () => model.doEmbed({ values, abortSignal }), failure)
        const { embeddings, usage } = await retrying(policy, either, attempt)
        meter.onVectors(values.length, usage?.tokens)
        return embeddings
      })
    }
  }
}

/** What is used of the `APICallError` of `@ai-sdk/provider`. */
interface ApiCallError {
  readonly statusCode?: number
  readonly isRetryable?: boolean
  readonly responseHeaders?: Readonly<Record<string, string>>
  readonly responseBody?: string
}

/** What a provider threw: its status says most, and without one a call that is worth retrying met no server. */
const failureOf = (embedder: string, cause: unknown): EmbedderFailed | EmbedderRequestFailed => {
  const { statusCode, isRetryable, responseHeaders, responseBody } = (cause ?? {}) as ApiCallError
  const detail = cause instanceof Error ? cause.message : String(cause)
  const failed = (reason: EmbedderRequestFailed["reason"]) => {
    const retryAfter = retryAfterMs((name) => responseHeaders?.[name])
    return new EmbedderRequestFailed({ embedder, reason, httpStatus: statusCode, retryAfter, detail, cause })
  }
  if (typeof statusCode !== "number") {
    return isRetryable === true ? failed("unreachable") : new EmbedderFailed({ embedder, cause })
  }
  if (statusCode < 300) return failed("invalid-response")
  return failed(errorOf(responseBody ?? "").code === "insufficient_quota" ? "quota" : classifyStatus(statusCode))
}
