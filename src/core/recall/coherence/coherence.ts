/** How well an item fits into a pool. */
import type { SimilarityIndex } from "../similarity-index.ts"
import type { SpectralFeatures } from "../spectral.ts"
import type { OwnTensor } from "../tensor.ts"

/** What is known of an item before it is added. */
export interface Candidate {
  readonly embedding: Float32Array
  /** Absent where it has none. */
  readonly class?: string | undefined
  readonly utility: number
  readonly tensor?: OwnTensor | undefined
  readonly spectrum?: SpectralFeatures | undefined
}

/** The pool that an item is to fit into. */
export interface Surroundings {
  readonly size: number
  /** Moves with every change of the pool. */
  readonly generation: number
  readonly index: SimilarityIndex
  /** Embeddings of at most `count` items spread over the pool, one after the other. */
  readonly sample: (count: number) => Float32Array
}

export interface Measured {
  /** 0..1. */
  readonly score: number
  /** Why, in one line. */
  readonly reason: string
}

/** A measure of coherence. It rejects with `FeatureUnavailable` where an item lacks what it measures. */
export interface Coherence {
  readonly id: string
  /** A writer waits for it: what it writes to a pool in the same collection is `Deadlock`. */
  readonly measure: (candidate: Candidate, pool: Surroundings) => Measured | Promise<Measured>
}
