/** A collection of Sabine as a vector store of LangChain. */
import { randomUUID } from "node:crypto"
import { Document, type DocumentInterface } from "@langchain/core/documents"
import type { EmbeddingsInterface } from "@langchain/core/embeddings"
import { type MaxMarginalRelevanceSearchOptions, VectorStore } from "@langchain/core/vectorstores"
import { isRecord } from "../../core/checked.ts"
import { InvalidParameter } from "../../core/errors.ts"
import type { Collection, CollectionOptions, Database, Filter, Hit, Namespace } from "../../index.ts"

/** Nearest documents that diverse ones are chosen from, unless a call says otherwise; as elsewhere in LangChain. */
const FETCH = 20
const LAMBDA = 0.5
/** What mem0 calls the id in its filters: no field can have the name. */
const MEM0_ID = "_mem0_id"
/** Documents of one search. */
const MOST = 1024

/** Where documents are kept. Fields of the collection are filled from metadata of the same name, and are what filters see. */
export interface SabineVectorStoreOptions extends Omit<CollectionOptions, "embedder" | "dimensions"> {
  readonly db: Database
  /** Name of the collection. Default `"documents"`. */
  readonly name?: string | undefined
  /** Keeps the documents of one namespace, such as a tenant, whose searches meet no others. Default: none. */
  readonly namespace?: string | undefined
  /** Components of a vector. Default: those of the first text that is embedded. */
  readonly dimensions?: number | undefined
}

/** What is to go. */
interface Deleted {
  readonly ids?: ReadonlyArray<string> | undefined
  readonly filter?: Filter | undefined
}

type Metadata = Record<string, unknown>

/** What is kept of a document. */
interface Kept {
  readonly pageContent: string
  readonly metadata: Metadata
}

/**
 * Documents in a collection: the id of a document is its key. Open it with `SabineVectorStore.open`, or with `fromTexts` or
 * `fromDocuments`. Scores are those of the collection, higher is nearer. A `filter` is one of Sabine's, over the fields
 * that the collection was made with: `{ lang: "en", year: { gte: 2020 } }`.
 */
export class SabineVectorStore extends VectorStore {
  declare FilterType: Filter
  readonly #entries: Collection | Namespace
  readonly #fields: ReadonlyArray<string>
  readonly #dimensions: number

  private constructor(embeddings: EmbeddingsInterface, collection: Collection, namespace: string | undefined) {
    super(embeddings, {})
    this.#entries = namespace === undefined ? collection : collection.namespace(namespace)
    this.#dimensions = collection.shape.dimensions
    this.#fields = Object.keys(collection.shape.fields ?? {})
  }

  /** Opens the collection, or makes it: then one text is embedded where `dimensions` are not given. */
  static async open(embeddings: EmbeddingsInterface, options: SabineVectorStoreOptions): Promise<SabineVectorStore> {
    const { db, name = "documents", namespace, dimensions, ...collection } = options
    const isKnown = (await db.collections()).includes(name)
    const width = dimensions ?? (isKnown ? undefined : (await embeddings.embedQuery("dimensions")).length)
    return new SabineVectorStore(embeddings, await db.collection(name, { ...collection, dimensions: width }), namespace)
  }

  static override async fromTexts(
    texts: Array<string>,
    metadatas: Array<object> | object,
    embeddings: EmbeddingsInterface,
    options: SabineVectorStoreOptions
  ): Promise<SabineVectorStore> {
    const metadataOf = (i: number) => (Array.isArray(metadatas) ? metadatas[i] : metadatas)
    const documents = texts.map((pageContent, i) => new Document<Metadata>({ pageContent, metadata: metadataOf(i) }))
    return SabineVectorStore.fromDocuments(documents, embeddings, options)
  }

  static override async fromDocuments(
    documents: Array<DocumentInterface>,
    embeddings: EmbeddingsInterface,
    options: SabineVectorStoreOptions
  ): Promise<SabineVectorStore> {
    const store = await SabineVectorStore.open(embeddings, options)
    await store.addDocuments(documents)
    return store
  }

  _vectorstoreType(): string {
    return "sabine"
  }

  /** Embeds and keeps documents; their ids. */
  async addDocuments(
    documents: Array<DocumentInterface>,
    options?: { readonly ids?: ReadonlyArray<string> }
  ): Promise<Array<string>> {
    const vectors = await this.embeddings.embedDocuments(documents.map(({ pageContent }) => pageContent))
    return this.addVectors(vectors, documents, options)
  }

  /**
   * Keeps documents with their vectors, each under the id of `options`, its own or a new one, in place of what the id stood
   * for: all of them or none. Durable when this resolves; rejects with `InvalidParameter`, `InvalidVector` or
   * `DimensionMismatch`.
   */
  async addVectors(
    vectors: Array<Array<number>>,
    documents: Array<DocumentInterface>,
    { ids }: { readonly ids?: ReadonlyArray<string> } = {}
  ): Promise<Array<string>> {
    for (const [parameter, given] of [
      ["vectors", vectors],
      ["ids", ids ?? documents]
    ] as const) {
      if (given.length === documents.length) continue
      throw new InvalidParameter({ parameter, reason: `wanted ${documents.length}, got ${given.length}` })
    }
    const entries = documents.map(({ id, pageContent, metadata }, i) => ({
      key: ids?.[i] ?? id ?? randomUUID(),
      vector: vectors[i]!,
      payload: { pageContent, metadata } satisfies Kept,
      fields: this.#fieldsOf(metadata)
    }))
    // Of an id that comes twice the last one counts.
    const last = new Map(entries.map((entry) => [entry.key, entry]))
    await this.#entries.addMany([...last.values()], { replace: true })
    return entries.map(({ key }) => key)
  }

  /**
   * Deletes documents by their ids, of which unknown ones are passed by, and those that a filter lets through. Rejects with
   * `InvalidParameter` when it is given neither, or a filter over what is no field.
   */
  override async delete({ ids, filter }: Deleted = {}): Promise<void> {
    if (ids === undefined && filter === undefined) {
      throw new InvalidParameter({ parameter: "delete", reason: "wanted ids or a filter" })
    }
    await Promise.all((ids ?? []).map((id) => this.#entries.delete(id)))
    if (filter === undefined) return
    const named = filter[MEM0_ID]
    if (typeof named === "string") {
      await this.#entries.delete(named)
      return
    }
    // Any direction will do: as many as there are are found, up to k.
    const query = new Float32Array(this.#dimensions).fill(1)
    for (;;) {
      const hits = await this.#entries.search(query, { k: MOST, filter, mode: "exact" })
      if (hits.length === 0) return
      await Promise.all(hits.map(({ key }) => this.#entries.delete(key)))
    }
  }

  /** The nearest documents, 1,024 at most, with their scores. */
  async similaritySearchVectorWithScore(
    query: Array<number>,
    k: number,
    filter?: Filter
  ): Promise<Array<[DocumentInterface, number]>> {
    const hits = await this.#entries.search(query, { k: Math.min(k, MOST), filter })
    return hits.map((hit) => [documentOf(hit), hit.score])
  }

  /** The nearest documents that are unlike one another: `lambda` 1 for near alone, 0 for unlike alone. Default 0.5. */
  override async maxMarginalRelevanceSearch(
    query: string,
    { k, fetchK = FETCH, lambda = LAMBDA, filter }: MaxMarginalRelevanceSearchOptions<Filter>
  ): Promise<Array<DocumentInterface>> {
    const vector = await this.embeddings.embedQuery(query)
    const hits = await this.#entries.search(vector, { k, filter, mmr: { lambda, fetchK: Math.max(k, fetchK) } })
    return hits.map(documentOf)
  }

  /** Fields that the metadata have. */
  #fieldsOf(metadata: Metadata) {
    if (this.#fields.length === 0) return undefined
    return Object.fromEntries(this.#fields.map((name) => [name, metadata[name] as string | undefined]))
  }
}

/** Others may have written into the collection what is no document: it has no text. */
const documentOf = ({ key, payload }: Hit): DocumentInterface => {
  const { pageContent, metadata } = isRecord(payload) ? (payload as Partial<Kept>) : {}
  return new Document({ id: key, pageContent: pageContent ?? "", metadata: metadata ?? {} })
}
