/** Embeddings that are remembered by their text: only texts that were not embedded of late are sent to the model. */
import type { EmbeddingModelV4Embedding, EmbeddingModelV4Middleware } from "@ai-sdk/provider"
import { QueryCache, type QueryCacheOptions, type QueryCacheStats } from "../../index.ts"

/** How much is remembered: 128 embeddings and 8 MiB by default. */
export type CachedEmbeddingsOptions = QueryCacheOptions

/** Bytes of a component. */
const NUMBER_BYTES = 8

/**
 * Middleware for `wrapEmbeddingModel({ model, middleware: cachedEmbeddings() })`, and the statistics of what it remembers.
 * One middleware serves any number of models: texts are told apart by provider, model, dimensions and provider options.
 * `providerMetadata.sabine` says how many texts of a call were `remembered`; usage is that of the others.
 * Throws `InvalidParameter`.
 */
export const cachedEmbeddings = (
  options?: CachedEmbeddingsOptions
): EmbeddingModelV4Middleware & { readonly stats: () => QueryCacheStats } => {
  const known = new QueryCache<EmbeddingModelV4Embedding>(({ length }) => NUMBER_BYTES * length, options)
  return {
    specificationVersion: "v4",
    stats: () => known.stats(),
    wrapEmbed: async ({ model, params }) => {
      const { values, abortSignal, headers, ...rest } = params
      const scope = JSON.stringify([model.provider, model.modelId, rest])
      const found = new Map<string, EmbeddingModelV4Embedding>()
      for (const text of new Set(values)) {
        const embedding = known.get(`${scope} ${text}`)
        if (embedding !== undefined) found.set(text, embedding)
      }
      const remembered = values.filter((text) => found.has(text)).length
      const missing = [...new Set(values)].filter((text) => !found.has(text))
      const fresh = missing.length > 0 ? await model.doEmbed({ ...params, values: missing }) : undefined
      for (const [i, text] of missing.entries()) {
        const embedding = fresh?.embeddings[i]
        if (embedding === undefined)
          throw new Error(`${model.modelId} returned ${i} embeddings for ${missing.length} texts`)
        known.set(`${scope} ${text}`, [...embedding])
        found.set(text, embedding)
      }
      return {
        warnings: [],
        ...fresh,
        // Of its own for each caller: what is remembered nobody can change.
        embeddings: values.map((text) => [...found.get(text)!]),
        ...(fresh === undefined && { usage: { tokens: 0 } }),
        providerMetadata: { ...fresh?.providerMetadata, sabine: { remembered } }
      }
    }
  }
}
