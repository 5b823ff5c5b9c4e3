/** Vectors made again from texts, by the embedder that a collection was made with. */
import { embedWith } from "../collection/texts.ts"
import { hashEmbedder, hashEmbedderId } from "../embed/hash.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import { staticEmbedder } from "../embed/static.ts"
import { EmptyEmbedding } from "../errors.ts"
import type { Pool } from "../pool.ts"

/** The embedder of an identity: one of those given, or one that ships with the package; undefined where there is none. */
const embedderOf = (id: string, dimensions: number, given: ReadonlyArray<OpenEmbedder>): OpenEmbedder | undefined => {
  const known = given.find((embedder) => embedder.id === id)
  if (known !== undefined) return known
  if (id === hashEmbedderId(dimensions)) return hashEmbedder({ dimensions })
  const shipped = staticEmbedder()
  return shipped.id === id ? shipped : undefined
}

/** Embeds the texts of a collection again, undefined for one with no known word; undefined without its embedder. */
export const embedAgain = (
  collection: string,
  { embedder: id, dimensions }: { readonly embedder: string; readonly dimensions: number },
  given: ReadonlyArray<OpenEmbedder>,
  pool: Pool["Service"],
  signal: AbortSignal
): ((texts: ReadonlyArray<string>) => Promise<ReadonlyArray<Float32Array | undefined>>) | undefined => {
  const embedder = embedderOf(id, dimensions, given)
  if (embedder === undefined || (embedder.dimensions ?? dimensions) !== dimensions) return undefined
  const embed = embedWith({ collection, dimensions, current: () => embedder, pool, remembered: undefined })
  return async (texts) => {
    const vectors: Array<Float32Array | undefined> = texts.map(() => undefined)
    for (let left = [...texts.keys()]; left.length > 0; ) {
      try {
        const found = await embed(
          left.map((i) => texts[i]!),
          "document",
          signal
        )
        for (const [n, i] of left.entries()) vectors[i] = found.slice(n * dimensions, (n + 1) * dimensions)
        return vectors
      } catch (error) {
        if (!(error instanceof EmptyEmbedding)) throw error
        left = left.filter((_, n) => n !== error.index)
      }
    }
    return vectors
  }
}
