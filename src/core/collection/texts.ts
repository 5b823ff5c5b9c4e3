/** Texts to vectors through the embedder that the caller gave, which may fail in any way. */
import { orCancelled } from "../embed/abort.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import { EmbedderFailed, InvalidParameter, isSabineError, NoEmbedder } from "../errors.ts"
import type { Pool } from "../pool.ts"

/** Embeds texts with the collection's embedder, one row a text. */
export type EmbedTexts = (
  texts: ReadonlyArray<string>,
  kind: "query" | "document",
  signal: AbortSignal
) => Promise<Float32Array>

/** What `collection`, of `dimensions`, embeds with at the time of a call, on the threads of `pool`. */
export const embedWith =
  (
    collection: string,
    dimensions: number,
    current: () => OpenEmbedder | undefined,
    pool: Pool["Service"]
  ): EmbedTexts =>
  async (texts, kind, signal) => {
    const embedder = current()
    if (embedder === undefined) throw new NoEmbedder({ collection })
    const failed = (cause: unknown) => new EmbedderFailed({ embedder: embedder.id, cause })
    const embedding = (async () => embedder.embed(texts, { kind, signal, run: pool.run }))()
    const vectors: unknown = await orCancelled(embedding, signal).catch((cause) => {
      throw isSabineError(cause) ? cause : failed(cause)
    })
    if (vectors instanceof Float32Array && vectors.length === texts.length * dimensions) return vectors
    throw failed(new Error(`wanted a Float32Array of ${texts.length} x ${dimensions} components`))
  }

/** The text of an entry or query that has no vector. */
export const checkedText = (parameter: string, text: unknown): string => {
  if (typeof text === "string") return text
  throw new InvalidParameter({ parameter, reason: "wanted a vector or a text" })
}
