/** Which rows a search may find, as it meets the rows of a moment. */
import type { Filter } from "../../kernels/contract.ts"

export interface Passing {
  /** The same for two that pass the same rows at any moment: their searches may share a pass over memory. */
  readonly id: string
  /** Operations of the filter at this moment at most; 0 when every row passes. */
  readonly operations: () => number
  /** The filter at this moment; undefined when every row passes. */
  readonly filter: () => Filter | undefined
  /** That filter with what is known of it: `Masks.lend`. */
  readonly lend: (filter: Filter, changes: number, blocks: number) => Filter
  /** Tells that a search by a lent filter went through to its end. */
  readonly filled: (filter: Filter) => void
}
