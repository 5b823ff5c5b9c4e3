/** Text to vectors: what a collection asks of the model that encodes its texts. */

/** Runs one of the engine's own tasks on a worker thread. */
export type RunTask = <A>(name: string, task: object) => Promise<A>

/** How a batch is encoded. */
export interface EmbedOptions {
  /**
   * What the texts are for, `"document"` by default. Models trained with a prefix for each side
   * encode the same words differently; the others ignore it.
   */
  readonly kind?: "query" | "document"
  /** Rejects the batch with `Cancelled` when it fires. */
  readonly signal?: AbortSignal | undefined
  /** Worker threads that a collection lends to the embedders of this package; others have no use for it. */
  readonly run?: RunTask | undefined
}

/**
 * An encoder of texts. Batching, concurrency and retries are its own affair: a caller hands over
 * all its texts at once and gets all vectors or one typed error.
 */
export interface Embedder {
  /**
   * Model and version, stored with a collection. Two embedders with one id give the same vectors
   * for the same texts.
   */
  readonly id: string
  /** Components of a vector. */
  readonly dimensions: number
  /** A text takes it some microseconds: collections remember no vectors of queries unless they are told to. */
  readonly quick?: boolean | undefined
  /**
   * Vectors of `texts` in their order, row-major and L2-normalised. A text that the model finds
   * nothing in rejects the batch with `EmptyEmbedding`; there is no zero vector. The memory
   * belongs to the caller and may be shared.
   */
  embed(texts: ReadonlyArray<string>, options?: EmbedOptions): Promise<Float32Array>
}
