/**
 * The rows that passed the filters of a thread's last searches, for as long as nothing changes in the store: a filter
 * that is used again is not evaluated again.
 *
 * A mask is only ever a hint. A row that was written since is not in it, as with a search that began earlier; one that
 * was deleted, or whose fields were changed, is dropped when the search comes to return it.
 */
import type { Filter } from "../../kernels/contract.ts"

/** Filters that are remembered. */
const REMEMBERED = 8
/** Longest mask that is kept, in bytes. */
const MAX_BYTES = 1 << 20

interface Remembered {
  readonly filter: Filter
  readonly changes: number
  readonly blocks: number
  /** Made when the filter is met a second time: most are not. */
  mask: Uint32Array | undefined
  isFilled: boolean
}

export class Masks {
  /** The last one met comes first. */
  #remembered: ReadonlyArray<Remembered> = []

  /**
   * The filter with what is known of it, for a search of the first `blocks` blocks that began when the store had
   * changed so many times.
   */
  lend(filter: Filter, changes: number, blocks: number): Filter {
    if (blocks * 8 > MAX_BYTES) return filter
    const known = this.#remembered.find((one) => isSame(one, filter, changes, blocks))
    const one = known ?? { filter, changes, blocks, mask: undefined, isFilled: false }
    const others = this.#remembered.filter((other) => other !== one)
    this.#remembered = [one, ...others.slice(0, REMEMBERED - 1)]
    if (known === undefined) return filter
    known.mask ??= new Uint32Array(new SharedArrayBuffer(8 * blocks))
    return { ...filter, mask: known.mask, isFilled: known.isFilled }
  }

  /** Tells that a search by a lent filter went through to its end. */
  filled(filter: Filter): void {
    const one = this.#remembered.find(({ mask }) => mask !== undefined && mask === filter.mask)
    if (one !== undefined) one.isFilled = true
  }
}

const isSame = (one: Remembered, filter: Filter, changes: number, blocks: number): boolean =>
  one.changes === changes &&
  one.blocks === blocks &&
  areEqual(one.filter.ops, filter.ops) &&
  areEqual(one.filter.constants, filter.constants)

const areEqual = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
