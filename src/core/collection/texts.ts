/** Texts to vectors through the embedder that the caller gave, which may fail in any way. */
import { orCancelled } from "../abort.ts"
import { embedThrough, VectorCache } from "../embed/cached.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import type { QueryCacheOptions } from "../embed/query-cache.ts"
import { EmbedderFailed, InvalidParameter, isSabineError, NoEmbedder } from "../errors.ts"
import type { Pool } from "../pool.ts"

/** Embeds texts with the collection's embedder, one row a text. */
export type EmbedTexts = (
  texts: ReadonlyArray<string>,
  kind: "query" | "document",
  signal: AbortSignal
) => Promise<Float32Array>

/** Vectors of the last queries. */
export interface RememberedQueries {
  readonly cache: VectorCache
  /** Whether those of quick embedders are remembered too. */
  readonly always: boolean
}

/** What a choice asks for: by default vectors are remembered where encoding takes longer than that; throws `InvalidParameter`. */
export const rememberedQueries = (choice: QueryCacheOptions | false | undefined): RememberedQueries | undefined =>
  choice === false ? undefined : { cache: new VectorCache(choice), always: choice !== undefined }

interface Embedding {
  readonly collection: string
  readonly dimensions: number
  /** What is embedded with at the time of a call. */
  readonly current: () => OpenEmbedder | undefined
  readonly pool: Pool["Service"]
  readonly remembered: RememberedQueries | undefined
}

/** What a collection embeds with, on the threads of `pool`. */
export const embedWith = ({ collection, dimensions, current, pool, remembered }: Embedding): EmbedTexts => {
  const embedAnew = async (
    embedder: OpenEmbedder,
    texts: ReadonlyArray<string>,
    kind: "query" | "document",
    signal: AbortSignal
  ): Promise<Float32Array> => {
    const failed = (cause: unknown) => new EmbedderFailed({ embedder: embedder.id, cause })
    const embedding = (async () => embedder.embed(texts, { kind, signal, run: pool.run }))()
    const vectors: unknown = await orCancelled(embedding, signal).catch((cause) => {
      throw isSabineError(cause) ? cause : failed(cause)
    })
    if (vectors instanceof Float32Array && vectors.length === texts.length * dimensions) return vectors
    throw failed(new Error(`wanted a Float32Array of ${texts.length} x ${dimensions} components`))
  }
  return async (texts, kind, signal) => {
    const embedder = current()
    if (embedder === undefined) throw new NoEmbedder({ collection })
    const isRemembered = kind === "query" && (remembered?.always || embedder.quick !== true)
    if (remembered === undefined || !isRemembered) return embedAnew(embedder, texts, kind, signal)
    return embedThrough(remembered.cache, texts, (missing) => embedAnew(embedder, missing, kind, signal), { signal })
  }
}

/** The text of an entry or query that has no vector. */
export const checkedText = (parameter: string, text: unknown): string => {
  if (typeof text === "string") return text
  throw new InvalidParameter({ parameter, reason: "wanted a vector or a text" })
}
