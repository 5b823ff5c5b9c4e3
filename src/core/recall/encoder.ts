/** What makes an embedding of an item that has none: the pool knows nothing of what it sees in it. */
import type { SpectralFeatures } from "./spectral.ts"
import type { OwnTensor } from "./tensor.ts"

/** What an encoder sees of an item, or of a query that is one. */
export interface Encodable {
  readonly tensor: OwnTensor
  readonly spectrum: SpectralFeatures
  /** -1..1; 0 for a query. */
  readonly utility: number
  /** What feedback says of the item's class, -1..1. */
  readonly bias: number
}

/** Equal inputs give equal embeddings, of `dimensions` finite numbers that are not all zero. */
export interface Encoder {
  /** Identity, 1 to 1,024 bytes of UTF-8, kept with each item: another one for whatever makes other embeddings. */
  readonly id: string
  readonly dimensions: number
  readonly encode: (item: Encodable) => Float32Array
}
