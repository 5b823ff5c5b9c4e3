/** An embedder of Sabine as `Embeddings` of LangChain. */
import { Embeddings } from "@langchain/core/embeddings"
import { mapSliced } from "../../core/slice.ts"
import type { Embedder } from "../../index.ts"

/** Embeddings of any embedder, such as `staticEmbedder()`: vectors of length 1. Calls reject as the embedder does. */
export class SabineEmbeddings extends Embeddings {
  readonly #embedder: Embedder

  constructor(embedder: Embedder) {
    super({})
    this.#embedder = embedder
  }

  async embedDocuments(documents: Array<string>): Promise<Array<Array<number>>> {
    return documents.length === 0 ? [] : this.#embed(documents, "document")
  }

  async embedQuery(document: string): Promise<Array<number>> {
    const [vector] = await this.#embed([document], "query")
    return vector!
  }

  async #embed(texts: ReadonlyArray<string>, kind: "document" | "query"): Promise<Array<Array<number>>> {
    const vectors = await this.#embedder.embed(texts, { kind })
    const width = vectors.length / texts.length
    return mapSliced(texts.length, undefined, (i) => Array.from(vectors.subarray(i * width, (i + 1) * width)))
  }
}
