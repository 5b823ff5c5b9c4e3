/** Everything that can be an embedder, told apart by its shape: no library of models is ever imported. */
import { object, shown, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"
import { type AiEmbeddingModel, isAiModel, openAiModel } from "./ai-model.ts"
import { embedBatched, UnitRows } from "./batched.ts"
import type { Embedder, EmbedOptions } from "./embedder.ts"
import { isLangChain, type LangChainEmbeddings, openLangChain } from "./langchain.ts"
import { asked, batchesOf, type EmbedderOfOptions, noVectors, type OpenEmbedder } from "./open-embedder.ts"
import type { MeteredEmbedder } from "./usage.ts"

/** One vector a text, in their order: an array of vectors, or all of them in one array, row-major. */
type Vectors = Float32Array | ReadonlyArray<ArrayLike<number>>

/** Encodes the texts it is given, which are composed (NFC) and never without a letter, digit or sign. */
export type EmbedFunction = (texts: ReadonlyArray<string>, options: EmbedOptions) => PromiseLike<Vectors> | Vectors

/**
 * An embedder of one's own. With both `id` and `dimensions` it is handed all texts of a call at once, as they are;
 * without, it is called as a function is, in batches.
 */
export interface CustomEmbedder {
  /** Model and version, stored with a collection; `"custom"` by default. */
  readonly id?: string | undefined
  /** Components of a vector; what it returns for a first text by default. */
  readonly dimensions?: number | undefined
  /** As of an `Embedder`. */
  readonly quick?: boolean | undefined
  readonly embed: EmbedFunction
}

/**
 * What a collection can embed with: an embedder of this package, a function or object of one's own, an embedding model
 * of the AI SDK (`EmbeddingModelV2` to `V4`), or `Embeddings` of LangChain. Every `Embedder` is a `CustomEmbedder`.
 */
export type EmbedderSource = CustomEmbedder | EmbedFunction | AiEmbeddingModel | LangChainEmbeddings

/** The embedder that `source` is; throws `InvalidParameter` when it is none. */
export const openEmbedder = (source: EmbedderSource, options: EmbedderOfOptions = {}): OpenEmbedder => {
  if (options.dimensions !== undefined) wholeNumber("dimensions", options.dimensions, 1, MAX_DIMENSIONS)
  if (typeof source === "function") return openFunction(source, options)
  const { embed, id, dimensions } = object("embedder", source) as Partial<CustomEmbedder>
  // First: their classes may have an embed of another kind.
  if (isAiModel(source)) return openAiModel(source, options)
  if (isLangChain(source)) return openLangChain(source, options)
  if (typeof embed !== "function") {
    const reason = `wanted a function, { embed }, or a model of the AI SDK or LangChain, got ${shown(source)}`
    throw new InvalidParameter({ parameter: "embedder", reason })
  }
  const own = source as CustomEmbedder
  if (id !== undefined && dimensions !== undefined) return openComplete(own, options.id ?? id, dimensions)
  const call: EmbedFunction = (texts, options) => own.embed(texts, options)
  const open = openFunction(call, { ...options, id: options.id ?? id, dimensions: dimensions ?? options.dimensions })
  return { ...open, quick: own.quick }
}

/** It keeps the contract of embedders by itself; vectors may come back one by one all the same. */
const openComplete = (source: CustomEmbedder, id: string, dimensions: number): OpenEmbedder => ({
  id,
  dimensions,
  quick: source.quick,
  embed: async (texts, options = {}) => {
    const vectors = await source.embed(texts, options)
    if (!Array.isArray(vectors)) return vectors as Float32Array
    const rows = new UnitRows(texts.length, dimensions, (detail) => noVectors(id, detail))
    await rows.write(0, texts.length, vectors)
    return rows.vectors
  }
})

const openFunction = (embed: EmbedFunction, options: EmbedderOfOptions): OpenEmbedder => {
  const { id = "custom", dimensions } = options
  const batching = { embedder: id, dimensions, ...batchesOf(options, 1), invalid: noVectors }
  return {
    id,
    dimensions,
    embed: (texts, { signal, kind = "document" } = {}) =>
      embedBatched(batching, texts, signal, async (batch, either) => {
        const vectors = await asked(id, either, () => embed(batch, { kind, signal: either }))
        return vectors instanceof Float32Array ? rowsOf(vectors, batch.length) : vectors
      })
  }
}

const rowsOf = (vectors: Float32Array, count: number): ReadonlyArray<Float32Array> => {
  const width = vectors.length / count
  return Array.from({ length: count }, (_, i) => vectors.subarray(i * width, (i + 1) * width))
}

/** Components of the vectors of `embedder`, which embeds a word to find out when it has not said. */
export const dimensionsOf = async (embedder: OpenEmbedder, signal?: AbortSignal): Promise<number> =>
  embedder.dimensions ?? (await embedder.embed(["dimensions"], { signal })).length

interface EmbedderOf {
  (source: AiEmbeddingModel | LangChainEmbeddings, options?: EmbedderOfOptions): Promise<MeteredEmbedder>
  (source: EmbedderSource, options?: EmbedderOfOptions): Promise<Embedder>
}

/**
 * Any model as an embedder, to be used outside a collection or with other batches than a collection asks for. A model
 * that does not say its dimension embeds one word to find out. Those of the AI SDK and LangChain count what they use:
 * requests, retries where they are made here, texts, and tokens where they are told. Rejects with `InvalidParameter`, and as
 * the model does.
 */
export const embedderOf = (async (source: EmbedderSource, options: EmbedderOfOptions = {}) => {
  const open = openEmbedder(source, options)
  const dimensions = { value: await dimensionsOf(open), enumerable: true }
  // Counters are read when they are asked for, not copied as they stand.
  return Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(open), dimensions })
}) as EmbedderOf
