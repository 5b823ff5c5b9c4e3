/** Texts to vectors through the embedder that the caller gave, which may fail in any way. */
import type { Embedder } from "../embed/embedder.ts"
import { Cancelled, EmbedderFailed, InvalidParameter, isSabineError, NoEmbedder } from "../errors.ts"
import type { Pool } from "../pool.ts"

/** Embeds texts with the collection's embedder, one row a text. */
export type EmbedTexts = (
  texts: ReadonlyArray<string>,
  kind: "query" | "document",
  signal: AbortSignal
) => Promise<Float32Array>

/** What `collection` embeds with at the time of a call, on the threads of `pool`. */
export const embedWith =
  (collection: string, current: () => Embedder | undefined, pool: Pool["Service"]): EmbedTexts =>
  async (texts, kind, signal) => {
    const embedder = current()
    if (embedder === undefined) throw new NoEmbedder({ collection })
    const failed = (cause: unknown) => new EmbedderFailed({ embedder: embedder.id, cause })
    const embedding = (async () => embedder.embed(texts, { kind, signal, run: pool.run }))()
    const vectors: unknown = await Promise.race([embedding, aborted(signal)]).catch((cause) => {
      throw isSabineError(cause) ? cause : failed(cause)
    })
    const length = texts.length * embedder.dimensions
    if (vectors instanceof Float32Array && vectors.length === length) return vectors
    throw failed(`wanted a Float32Array of ${texts.length} x ${embedder.dimensions} components`)
  }

/** Rejects when the signal fires: nobody waits for an embedder that is deaf to it. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(new Cancelled())
    else signal.addEventListener("abort", () => reject(new Cancelled()), { once: true })
  })

/** The text of an entry or query that has no vector. */
export const checkedText = (parameter: string, text: unknown): string => {
  if (typeof text === "string") return text
  throw new InvalidParameter({ parameter, reason: "wanted a vector or a text" })
}
