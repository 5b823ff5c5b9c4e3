/** Embeddings that are remembered by their text: only texts that were not embedded of late are sent, each once. */
import type { EmbeddingModelV4Embedding, EmbeddingModelV4Middleware } from "@ai-sdk/provider"
import { forEachSliced, mapSliced } from "../../core/slice.ts"
import { TextFlights } from "../../core/text-flights.ts"
import { QueryCache, type QueryCacheOptions, type QueryCacheStats } from "../../index.ts"

/** How much is remembered: 128 embeddings and 8 MiB by default. */
export type CachedEmbeddingsOptions = QueryCacheOptions

/** Bytes of a component. */
const NUMBER_BYTES = 8

/**
 * Middleware for `wrapEmbeddingModel({ model, middleware: cachedEmbeddings() })`, and the statistics of what it remembers.
 * One middleware serves any number of models: texts are told apart by provider, model, dimensions and provider options.
 * A text that another call has sent already is waited for. `providerMetadata.sabine` says how many texts of a call were
 * `remembered`, and how many others were `shared` with another call; usage is that of what this call sent itself.
 * Throws `InvalidParameter`.
 */
export const cachedEmbeddings = (
  options?: CachedEmbeddingsOptions
): EmbeddingModelV4Middleware & { readonly stats: () => QueryCacheStats } => {
  const known = new QueryCache<EmbeddingModelV4Embedding>(({ length }) => NUMBER_BYTES * length, options)
  const flights = new TextFlights<EmbeddingModelV4Embedding>()
  return {
    specificationVersion: "v4",
    stats: () => known.stats(),
    wrapEmbed: async ({ model, params }) => {
      const { values: given, abortSignal, headers, ...rest } = params
      // It is gone over in turns of the event loop, and is whose it is.
      const values = given.slice()
      const scope = JSON.stringify([model.provider, model.modelId, rest])
      const found = new Map<string, EmbeddingModelV4Embedding>()
      const missing = new Map<string, string>()
      let remembered = 0
      await forEachSliced(values.length, undefined, (i) => {
        const text = values[i]!
        const key = `${scope} ${text}`
        const embedding = found.get(text) ?? (missing.has(key) ? undefined : known.get(key))
        if (embedding === undefined) missing.set(key, text)
        else {
          remembered++
          found.set(text, embedding)
        }
      })
      let fresh: Awaited<ReturnType<typeof model.doEmbed>> | undefined
      let tokens = 0
      const sent = new Set<string>()
      const send = async (keys: ReadonlyArray<string>) => {
        const texts = keys.map((key) => missing.get(key)!)
        fresh = await model.doEmbed({ ...params, values: texts })
        tokens += fresh.usage?.tokens ?? 0
        const { embeddings } = fresh
        await forEachSliced(keys.length, undefined, (i) => {
          const embedding = embeddings[i]
          if (embedding === undefined) {
            throw new Error(`${model.modelId} returned ${i} embeddings for ${texts.length} texts`)
          }
          sent.add(texts[i]!)
          known.set(keys[i]!, [...embedding])
        })
        return embeddings
      }
      const made =
        missing.size === 0 ? new Map() : await givenUp(flights.all([...missing.keys()], abortSignal, send), abortSignal)
      for (const [key, embedding] of made) found.set(missing.get(key)!, embedding)
      const shared = values.filter((text) => !sent.has(text)).length - remembered
      // Of its own for each caller: what is remembered nobody can change.
      const embeddings = await mapSliced(values.length, undefined, (i) => [...found.get(values[i]!)!])
      return {
        warnings: [],
        ...fresh,
        embeddings,
        ...((fresh === undefined || fresh.usage !== undefined) && { usage: { tokens } }),
        providerMetadata: { ...fresh?.providerMetadata, sabine: { remembered, shared } }
      }
    }
  }
}

/** A caller whose signal fires is told its reason, as by the SDK itself. */
const givenUp = async <A>(work: Promise<A>, signal: AbortSignal | undefined): Promise<A> => {
  try {
    return await work
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}
