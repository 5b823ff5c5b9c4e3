/**
 * Which entries give way when there are too many: a policy says how much a row is worth keeping, and eviction takes the
 * least worthy of a sample. So nothing is ever sorted or walked, and a policy needs no more than two bytes a row, which
 * lie in columns that the store has anyway and that images keep.
 */
import type { PackedEntry } from "../packed.ts"

/** The rows of a cache, as a policy sees them. */
export interface PolicyRows {
  /** One past the highest row. */
  readonly rows: number
  /** Entries that are there. */
  readonly size: number
  /** Two bytes of a row, at `slot` of each column. */
  marks(row: number): { readonly frequency: Uint8Array; readonly flags: Uint8Array; readonly slot: number }
  /** The entry of a row; undefined when there is none. Valid until the turn ends. */
  at(row: number): PackedEntry | undefined
  /** Hash of the key of a row, u32. */
  hashOf(row: number): number
}

/** The nearest entry of the same scope that there was when a row was written. */
export interface Neighbour {
  readonly row: number
  /** Cosine. */
  readonly similarity: number
}

export interface EvictionPolicy {
  readonly name: string
  /** A row was written; `neighbour` is told only to a policy that `wantsNeighbours`. */
  stored(row: number, neighbour: Neighbour | undefined): void
  /** The entry of a row was served. */
  served(row: number): void
  /** What a row is worth keeping, beside others at this moment: the least gives way first. */
  worth(row: number): number
  readonly wantsNeighbours?: boolean
}

/** Makes a policy for the rows of a cache. */
export type MakePolicy = (rows: PolicyRows) => EvictionPolicy
