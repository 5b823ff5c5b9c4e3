/** Embedding models of LangChain, by the methods they have. Retries and deadlines are the model's own. */
import { embedBatched } from "./batched.ts"
import {
  asked,
  batchesOf,
  type EmbedderOfOptions,
  meterOf,
  noVectors,
  type OpenMeteredEmbedder
} from "./open-embedder.ts"

/** What is used of `Embeddings` of `@langchain/core`. */
export interface LangChainEmbeddings {
  embedDocuments(documents: Array<string>): Promise<ReadonlyArray<ReadonlyArray<number>>>
  embedQuery(document: string): Promise<ReadonlyArray<number>>
}

export const isLangChain = (source: object): source is LangChainEmbeddings =>
  "embedDocuments" in source && typeof source.embedDocuments === "function" && "embedQuery" in source

/** Queries at a time: each is a call of its own, because models may encode queries in a way of their own. */
const QUERIES_AT_ONCE = 8

/** Names of models are where the integrations of LangChain keep them. */
const idOf = (model: LangChainEmbeddings): string => {
  const { model: name, modelName } = model as { readonly model?: unknown; readonly modelName?: unknown }
  const named = [name, modelName].find((value) => typeof value === "string")
  return ["langchain", model.constructor.name, ...(named === undefined ? [] : [named])].join(":")
}

export const openLangChain = (model: LangChainEmbeddings, options: EmbedderOfOptions): OpenMeteredEmbedder => {
  const { id = idOf(model), dimensions } = options
  const { batchSize, concurrency } = batchesOf(options, 4)
  const documents = { embedder: id, dimensions, batchSize, concurrency, invalid: noVectors }
  const queries = { ...documents, batchSize: 1, concurrency: options.concurrency ?? QUERIES_AT_ONCE }
  const meter = meterOf(options)
  const metered = async <V>(texts: number, either: AbortSignal, ask: () => Promise<V>): Promise<V> => {
    meter.onRequest(false)
    const vectors = await asked(id, either, ask)
    // What a model took in tokens LangChain does not tell.
    meter.onVectors(texts, undefined)
    return vectors
  }
  return {
    id,
    dimensions,
    get usage() {
      return meter.usage()
    },
    embed: (texts, { signal, kind } = {}) =>
      kind === "query"
        ? embedBatched(queries, texts, signal, async ([text = ""], either) => [
            await metered(1, either, () => model.embedQuery(text))
          ])
        : embedBatched(documents, texts, signal, (batch, either) =>
            metered(batch.length, either, () => model.embedDocuments(batch))
          )
  }
}
