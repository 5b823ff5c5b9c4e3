/** OpenAI's embeddings, and every server that speaks the same: `POST /embeddings`. */
import { finite, wholeNumber } from "../checked.ts"
import { EmbedderRequestFailed, InvalidParameter } from "../errors.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"
import { DEFAULT_BATCH, embedBatched, knownDimensions } from "./batched.ts"
import { type Clock, systemClock } from "./clock.ts"
import { answerBytes, checkedUrl, type Endpoint, postJson } from "./request.ts"
import { classifyStatus, MAX_RETRIES, MAX_TIMEOUT_MS, retrying } from "./retrying.ts"
import { TokenBucket } from "./token-bucket.ts"
import { Meter, type MeteredEmbedder } from "./usage.ts"

export interface OpenAiOptions {
  /** `"text-embedding-3-small"` by default. */
  readonly model?: string | undefined
  /** The environment's `OPENAI_API_KEY` by default. A server of one's own (`baseUrl`) may need none. */
  readonly apiKey?: string | undefined
  /** The environment's `OPENAI_BASE_URL`, or `https://api.openai.com/v1`, by default. */
  readonly baseUrl?: string | undefined
  /** Sent as `OpenAI-Organization`; the environment's `OPENAI_ORG_ID` by default. */
  readonly organization?: string | undefined
  /** Sent with every request, after the others: what a gateway asks for. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * Components of a vector, 1 to 8192: the model's by default. `text-embedding-3` models shorten
   * theirs to it; of other models it says what they return, and must be given.
   */
  readonly dimensions?: number | undefined
  /** Texts of a request, 1 to 2,048, 100 by default. */
  readonly batchSize?: number | undefined
  /** Requests at a time, 1 to 64, 4 by default. */
  readonly concurrency?: number | undefined
  /** 1 to 1,000,000, 3,000 by default; two seconds' worth may start at once. */
  readonly requestsPerMinute?: number | undefined
  /** Milliseconds for a request with its retries, 60,000 by default. */
  readonly timeout?: number | undefined
  /** Retries after 429, 5xx and failures of the network, 0 to 100, 5 by default. */
  readonly maxRetries?: number | undefined
  /** US dollars for a million tokens, for `usage.cost`: the list price of the three OpenAI models by default, else 0. */
  readonly pricePerMillionTokens?: number | undefined
  /** Time, for tests. */
  readonly clock?: Clock | undefined
}

const MODELS: Readonly<Record<string, { readonly dimensions: number; readonly price: number }>> = {
  "text-embedding-3-small": { dimensions: 1536, price: 0.02 },
  "text-embedding-3-large": { dimensions: 3072, price: 0.13 },
  "text-embedding-ada-002": { dimensions: 1536, price: 0.1 }
}

const DEFAULT_URL = "https://api.openai.com/v1"

/** Throws `InvalidParameter`; batches reject with `EmbedderRequestFailed`, `EmptyEmbedding` or `Cancelled`. */
export const openaiEmbedder = (options: OpenAiOptions = {}): MeteredEmbedder => {
  const { model = "text-embedding-3-small", clock = systemClock } = options
  const known = MODELS[model]
  const wanted = knownDimensions(model, options.dimensions ?? known?.dimensions)
  const dimensions = wholeNumber("dimensions", wanted, 1, MAX_DIMENSIONS)
  const shortened = model.startsWith("text-embedding-3-") && dimensions !== known?.dimensions ? { dimensions } : {}
  const id = `openai:${model}:${dimensions}`
  const endpoint = endpointOf(id, options)
  const meter = new Meter(finite("pricePerMillionTokens", options.pricePerMillionTokens ?? known?.price ?? 0))
  const policy = {
    embedder: id,
    timeout: wholeNumber("timeout", options.timeout ?? 60_000, 1, MAX_TIMEOUT_MS),
    maxRetries: wholeNumber("maxRetries", options.maxRetries ?? 5, 0, MAX_RETRIES),
    clock,
    bucket: new TokenBucket(wholeNumber("requestsPerMinute", options.requestsPerMinute ?? 3000, 1, 1e6), clock),
    onRequest: meter.onRequest
  }
  const batching = {
    embedder: id,
    dimensions,
    batchSize: wholeNumber("batchSize", options.batchSize ?? DEFAULT_BATCH, 1, 2048),
    concurrency: wholeNumber("concurrency", options.concurrency ?? 4, 1, 64)
  }
  return {
    id,
    dimensions,
    get usage() {
      return meter.usage()
    },
    embed: (texts, { signal } = {}) =>
      embedBatched(batching, texts, signal, async (input, either) => {
        const body = { model, input, encoding_format: "base64", ...shortened }
        const most = answerBytes(input.length)
        const answer = await retrying(policy, either, (signal) => postJson(endpoint, body, most, signal))
        const { vectors, tokens } = read(answer, id)
        meter.onVectors(input.length, tokens)
        return vectors
      })
  }
}

const endpointOf = (embedder: string, options: OpenAiOptions): Endpoint => {
  const ownServer = options.baseUrl ?? process.env["OPENAI_BASE_URL"]
  const apiKey = options.apiKey ?? process.env["OPENAI_API_KEY"]
  const organization = options.organization ?? process.env["OPENAI_ORG_ID"]
  if (!apiKey && !ownServer) {
    throw new InvalidParameter({ parameter: "apiKey", reason: "not given, and OPENAI_API_KEY is not set" })
  }
  const baseUrl = checkedUrl("baseUrl", ownServer || DEFAULT_URL)
  return {
    embedder,
    url: `${baseUrl}/embeddings`,
    headers: {
      ...(apiKey && { authorization: `Bearer ${apiKey}` }),
      ...(organization && { "openai-organization": organization }),
      ...options.headers
    },
    classify: (httpStatus, _, code) => {
      if (code === "insufficient_quota") return { reason: "quota" }
      return { reason: code === "model_not_found" ? "model-missing" : classifyStatus(httpStatus) }
    },
    unreachable: `no answer from ${baseUrl}`
  }
}

interface Answer {
  readonly data?: ReadonlyArray<{ readonly index?: number; readonly embedding?: string | ReadonlyArray<number> } | null>
  readonly usage?: { readonly total_tokens?: number; readonly prompt_tokens?: number }
}

/** Vectors in the order of their texts; servers that know no base64 answer with numbers. */
const read = (answer: unknown, embedder: string) => {
  const { data, usage } = (answer ?? {}) as Answer
  const invalid = (detail: string) => new EmbedderRequestFailed({ embedder, reason: "invalid-response", detail })
  if (!Array.isArray(data)) throw invalid("the answer has no data")
  const vectors: Array<ArrayLike<number>> = new Array(data.length)
  for (const [i, row] of data.entries()) {
    const index: number = row?.index ?? i
    const embedding: unknown = row?.embedding
    if (!(index in data) || vectors[index]) throw invalid(`row ${i} has the index ${index}`)
    if (typeof embedding === "string") vectors[index] = decode(embedding)
    else if (Array.isArray(embedding)) vectors[index] = embedding
    else throw invalid(`row ${i} has no embedding`)
  }
  return { vectors, tokens: usage?.total_tokens ?? usage?.prompt_tokens }
}

/** Little-endian f32; copied, for pooled buffers start anywhere. */
const decode = (base64: string): Float32Array => {
  const bytes = Buffer.from(base64, "base64")
  return new Float32Array(new Uint8Array(bytes).buffer, 0, bytes.length >> 2)
}
