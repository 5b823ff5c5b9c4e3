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

export interface EvictionPolicy {
  readonly name: string
  /** A row was written. */
  stored(row: number): void
  /** The entry of a row was served; `isCovered` when another one near it would have been served in its place. */
  served(row: number, isCovered: boolean): void
  /** What a row is worth keeping, beside others at this moment: the least gives way first. */
  worth(row: number): number
}

/** Makes a policy for the rows of a cache. */
export type MakePolicy = (rows: PolicyRows) => EvictionPolicy
