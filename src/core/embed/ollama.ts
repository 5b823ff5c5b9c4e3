/** Models that Ollama runs: `POST /api/embed`. */
import { wholeNumber } from "../checked.ts"
import { EmbedderRequestFailed } from "../errors.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"
import { DEFAULT_BATCH, embedBatched, knownDimensions } from "./batched.ts"
import { type Clock, systemClock } from "./clock.ts"
import { answerBytes, checkedUrl, type Endpoint, postJson } from "./request.ts"
import { classifyStatus, MAX_RETRIES, MAX_TIMEOUT_MS, retrying } from "./retrying.ts"
import { Meter, type MeteredEmbedder } from "./usage.ts"

/** What a model was trained to see before a text. */
export interface OllamaPrefixes {
  readonly query: string
  readonly document: string
}

export interface OllamaOptions {
  /** `"nomic-embed-text"` by default. */
  readonly model?: string | undefined
  /** The environment's `OLLAMA_HOST`, or `http://127.0.0.1:11434`, by default. Scheme and port may be left out. */
  readonly host?: string | undefined
  /**
   * Components of a vector, 1 to 8192. Of a model that is known here (`nomic-embed-text`, `mxbai-embed-large`,
   * `all-minilm`, `bge-m3`) the server shortens vectors to it; of others it says what they return, and must be given.
   */
  readonly dimensions?: number | undefined
  /** Put before texts: what the model was trained with by default, nothing for models that are not known here. */
  readonly prefixes?: OllamaPrefixes | undefined
  /** Sent with every request: what a proxy asks for. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Texts of a request, 1 to 2,048, 100 by default. */
  readonly batchSize?: number | undefined
  /** Milliseconds for a request with its retries, 60,000 by default: the first one loads the model. */
  readonly timeout?: number | undefined
  /** Retries after 429, 5xx and failures of the network, 0 to 100, 3 by default. */
  readonly maxRetries?: number | undefined
  /** Time, for tests. */
  readonly clock?: Clock | undefined
}

const NONE: OllamaPrefixes = { query: "", document: "" }

const MODELS: Readonly<Record<string, { readonly dimensions: number; readonly prefixes: OllamaPrefixes }>> = {
  "nomic-embed-text": { dimensions: 768, prefixes: { query: "search_query: ", document: "search_document: " } },
  "mxbai-embed-large": {
    dimensions: 1024,
    prefixes: { query: "Represent this sentence for searching relevant passages: ", document: "" }
  },
  "all-minilm": { dimensions: 384, prefixes: NONE },
  "bge-m3": { dimensions: 1024, prefixes: NONE }
}

const DEFAULT_PORT = 11434

/** Throws `InvalidParameter`; batches reject with `EmbedderRequestFailed`, `EmptyEmbedding` or `Cancelled`. */
export const ollamaEmbedder = (options: OllamaOptions = {}): MeteredEmbedder => {
  const { model = "nomic-embed-text", headers = {}, clock = systemClock } = options
  const known = MODELS[model.replace(/:latest$/, "")]
  const wanted = knownDimensions(model, options.dimensions ?? known?.dimensions)
  const dimensions = wholeNumber("dimensions", wanted, 1, MAX_DIMENSIONS)
  const shortened = known && dimensions !== known.dimensions ? { dimensions } : {}
  const prefixes = options.prefixes ?? known?.prefixes ?? NONE
  const host = hostUrl(options.host ?? process.env["OLLAMA_HOST"] ?? "")
  const told = options.prefixes ? `:${JSON.stringify([prefixes.query, prefixes.document])}` : ""
  const id = `ollama:${model}:${dimensions}${told}`
  const endpoint: Endpoint = {
    embedder: id,
    url: `${host}/api/embed`,
    headers,
    classify: (httpStatus, message) => {
      if (/does not support embed/i.test(message)) {
        return { reason: "not-an-embedding-model", advice: "choose one that does, such as nomic-embed-text" }
      }
      if (httpStatus !== 404 || !/model/i.test(message)) return { reason: classifyStatus(httpStatus) }
      return { reason: "model-missing", advice: `run "ollama pull ${model}"` }
    },
    unreachable: `no Ollama server at ${host}: start it with "ollama serve", or set OLLAMA_HOST`
  }
  const meter = new Meter(0)
  const policy = {
    embedder: id,
    timeout: wholeNumber("timeout", options.timeout ?? 60_000, 1, MAX_TIMEOUT_MS),
    maxRetries: wholeNumber("maxRetries", options.maxRetries ?? 3, 0, MAX_RETRIES),
    clock,
    onRequest: meter.onRequest
  }
  const batchSize = wholeNumber("batchSize", options.batchSize ?? DEFAULT_BATCH, 1, 2048)
  return {
    id,
    dimensions,
    get usage() {
      return meter.usage()
    },
    embed: (texts, { signal, kind = "document" } = {}) => {
      // One request at a time: the server would run them one after the other.
      const batching = { embedder: id, dimensions, batchSize, concurrency: 1, prefix: prefixes[kind] }
      return embedBatched(batching, texts, signal, async (input, either) => {
        const body = { model, input, ...shortened }
        const most = answerBytes(input.length)
        const answer = (await retrying(policy, either, (signal) =>
          postJson(endpoint, body, most, signal)
        )) as Answer | null
        if (!Array.isArray(answer?.embeddings)) {
          const detail = "the answer has no embeddings"
          throw new EmbedderRequestFailed({ embedder: id, reason: "invalid-response", detail })
        }
        meter.onVectors(input.length, answer.prompt_eval_count)
        return answer.embeddings
      })
    }
  }
}

interface Answer {
  readonly embeddings?: ReadonlyArray<ArrayLike<number>>
  readonly prompt_eval_count?: number
}

/** `OLLAMA_HOST` as Ollama reads it: scheme and port may be missing, and a server's "any address" is this machine. */
const hostUrl = (host: string): string => {
  const [, scheme, rest = ""] = /^(?:(https?):\/\/)?(.*?)\/*$/.exec(host.trim()) ?? []
  const [address = "", name = "", port] = /^(\[[^\]]*\]|[^:/]*)(?::(\d+))?/.exec(rest) ?? []
  const path = rest.slice(address.length)
  const isAny = name === "" || name === "0.0.0.0" || name === "[::]"
  const standard = scheme === undefined ? `:${DEFAULT_PORT}` : ""
  return checkedUrl("host", `${scheme ?? "http"}://${isAny ? "127.0.0.1" : name}${port ? `:${port}` : standard}${path}`)
}
