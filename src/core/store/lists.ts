/**
 * Inverted lists in shared memory: the owner puts rows into them and takes rows out while any thread searches.
 *
 * A list is a chain of blocks of 64 slots that only grows at its end. A slot is written before its live bit is set,
 * and never again while it can be reached. A list of which more than half is dead is written anew into other blocks,
 * and its head moved to them; the old blocks are used again once no reader can still walk them.
 *
 * Lists are split and merged by new centroids and heads, which take the place of the old ones at once: what changed is
 * written anew before, and the other lists are chains of both.
 */
import type { Centroids } from "../index/ivf.ts"
import { forEachSliced } from "../slice.ts"
import { alignedBytes } from "./aligned.ts"
import { BLOCK, SLOTS } from "./layout.ts"
import { ListBlocks, type ListStore } from "./list-blocks.ts"
import { ListChains } from "./list-chains.ts"
import { centroidViews, type ListBuffers, makeShortlist } from "./list-columns.ts"

/** Lists that are to take the place of those in force. */
interface Regrouping {
  /** A buffer of the centroids of all lists. */
  readonly centroids: SharedArrayBuffer
  /** For each of the first lists, the one in force that it goes on as. All others are new. */
  readonly kept: Uint32Array
  /** Rows of lists that change, and the list that each goes to. The other lists stay as they are. */
  readonly rows: Uint32Array
  readonly targets: Uint32Array
  /** By list: 1 where it changes, so that all its rows are among `rows`. */
  readonly isChanged: Uint8Array
  /** New lists that took what a split could not part. */
  readonly unparted: ReadonlySet<number>
}

export class ListWriter {
  readonly #store: ListStore
  readonly #announce: () => void
  readonly #blocks: ListBlocks
  #centroids: SharedArrayBuffer
  #views: Centroids
  #shortlist: SharedArrayBuffer | undefined
  #chains: ListChains
  /** Slot of each row in the lists plus one, a segment at a time. */
  readonly #places: Array<Uint32Array> = []

  /** Empty lists around `centroids`. `announce` is called when there are other buffers. */
  constructor(store: ListStore, centroids: SharedArrayBuffer, announce: () => void) {
    this.#store = store
    this.#announce = announce
    this.#blocks = new ListBlocks(store, announce)
    this.#centroids = centroids
    this.#views = centroidViews(store.columns.layout, centroids)
    this.#chains = new ListChains(this.#blocks, this.#views.halfNorms.length)
  }

  get buffers(): ListBuffers {
    const heads = this.#chains.heads.buffer as SharedArrayBuffer
    return { centroids: this.#centroids, shortlist: this.#shortlist, heads, chunks: this.#blocks.chunks }
  }

  get centroids(): Centroids {
    return this.#views
  }

  /** Blocks ever used. */
  get blocks(): number {
    return this.#blocks.used
  }

  get count(): number {
    return this.#chains.count
  }

  /** Bytes of centroids and blocks: in use, and set aside. */
  get bytes(): { readonly touched: number; readonly allocated: number } {
    const ranking = this.#centroids.byteLength + (this.#shortlist === undefined ? 0 : alignedBytes(this.#shortlist))
    const fixed = ranking + this.#chains.heads.byteLength
    const { touched, allocated } = this.#blocks.bytes
    return { touched: fixed + touched, allocated: fixed + allocated }
  }

  /** Makes what many lists are ranked by from their centroids, which are all there: before they are put in force. */
  async shorten(): Promise<void> {
    this.#shortlist = await makeShortlist(this.#store.kernels, this.#store.columns.layout, this.#views)
  }

  /** Makes room for `blocks` blocks that are read from a file; each list is to be adopted then. */
  allocate(blocks: number): void {
    this.#blocks.allocate(blocks)
  }

  /** Takes in a list that was read: the rows in it, or -1 when it is no chain of blocks or a row is not `isLive`. */
  adopt(list: number, isLive: (row: number) => boolean): number {
    return this.#chains.adopt(list, (row, place) => {
      if (!isLive(row) || this.#placesOf(row)[row % SLOTS] !== 0) return false
      this.#place(row, place)
      return true
    })
  }

  /** After all lists were adopted: blocks of none of them can be used. */
  freeTheRest(): void {
    this.#blocks.give(this.#chains.unknown())
  }

  /** Makes room for `count` rows in any lists, of a store of so many segments: `append` finds it. */
  reserve(count: number, segments: number): void {
    this.#blocks.reserve(this.#blocksFor(count))
    if (segments > 0) this.#placesOf((segments - 1) * SLOTS)
  }

  /** Puts a row whose code is written at the end of a list. It counts once its live bit in the store is set too. */
  append(row: number, list: number): void {
    this.#place(row, this.#appendTo(this.#chains, row, list))
  }

  /** The list that a row is in; undefined when it is in none. */
  listOf(row: number): number | undefined {
    const place = this.#places[Math.floor(row / SLOTS)]?.[row % SLOTS] ?? 0
    return place === 0 ? undefined : this.#chains.listOf(Math.floor((place - 1) / BLOCK))
  }

  /**
   * Takes a row that is no longer live out of its list; the list is written anew when most of it is gone. The blocks of
   * `reserved` rows that are yet to be appended are left for them.
   */
  remove(row: number, reserved: number): void {
    const places = this.#places[Math.floor(row / SLOTS)]
    const place = places?.[row % SLOTS] ?? 0
    if (places === undefined || place === 0) return
    places[row % SLOTS] = 0
    const list = this.#chains.listOf(Math.floor((place - 1) / BLOCK))
    if (this.#chains.remove(place - 1) && this.#hasRoom(list, reserved)) this.rewrite(list)
  }

  /** Gives back the blocks that no reader is in any more: those unlinked in `ended` or before. */
  reclaim(ended: number): void {
    this.#blocks.reclaim(ended)
  }

  /** Blocks that lists of these sizes take at least. */
  get needed(): number {
    return this.#chains.sizes.reduce((sum, size) => sum + Math.ceil(size / BLOCK), 0)
  }

  /** Live rows of a list. */
  sizeOf(list: number): number {
    return this.#chains.sizes[list]!
  }

  /** Rows of a list when it was made of a split that could not part them, or the fewest since; otherwise 0. */
  triedAt(list: number): number {
    return this.#chains.tried[list]!
  }

  /** Calls `visit` with every row of a block. */
  forEachRow(block: number, visit: (row: number) => void): void {
    this.#blocks.forEachLive(block, (_, row) => visit(row))
  }

  /** Free blocks; the lowest is used next. */
  sortedFree(): ReadonlyArray<number> {
    return this.#blocks.sortedFree()
  }

  /** Gives up the highest blocks as long as they are free; the memory of those given up, to be released. */
  cut(): ReadonlyArray<Uint8Array> {
    return this.#blocks.cut()
  }

  /** Copies what lives of a list into blocks of its own and moves the head there; nothing changes without memory for them. */
  rewrite(list: number): void {
    this.#chains.rewrite(list, (row, place) => this.#place(row, place))
  }

  /** Blocks of a list, in order. */
  chain(list: number): ReadonlyArray<number> {
    return this.#chains.chain(list)
  }

  /**
   * Puts other lists in force at once. Nobody may write meanwhile; searches go on, by the lists of before until then,
   * and those that were running are run again. Nothing is changed when the signal fires before that.
   */
  async regroup(
    { centroids, kept, rows, targets, isChanged, unparted }: Regrouping,
    signal?: AbortSignal
  ): Promise<void> {
    const views = centroidViews(this.#store.columns.layout, centroids)
    const chains = new ListChains(this.#blocks, views.halfNorms.length)
    const places = new Uint32Array(rows.length)
    const shortlist = await makeShortlist(this.#store.kernels, this.#store.columns.layout, views)
    try {
      await forEachSliced(rows.length, signal, (i) => {
        places[i] = this.#appendTo(chains, rows[i]!, targets[i]!)
      })
    } catch (error) {
      // What is in force was not touched, and nobody knows the others.
      await forEachSliced(chains.count, undefined, (list) => this.#blocks.give(chains.chain(list)))
      throw error
    }
    const goesOn = new Uint8Array(this.count)
    await forEachSliced(kept.length, undefined, (list) => {
      if (isChanged[list] === 0) {
        goesOn[kept[list]!] = 1
        chains.share(list, this.#chains, kept[list]!)
      } else chains.tried[list] = Math.min(this.#chains.tried[kept[list]!]!, chains.sizes[list]!)
    })
    for (let list = kept.length; list < chains.count; list++) {
      if (unparted.has(list)) chains.tried[list] = chains.sizes[list]!
    }
    // Nothing fails from here on: the places may be those of lists that are not in force yet.
    await forEachSliced(rows.length, undefined, (i) => this.#place(rows[i]!, places[i]!))
    const left: Array<number> = []
    await forEachSliced(this.count, undefined, (list) => {
      if (goesOn[list] === 0) for (const block of this.chain(list)) left.push(block)
    })
    this.#blocks.unlink(left)
    this.#centroids = centroids
    this.#views = views
    this.#shortlist = shortlist
    this.#chains = chains
    // In the turn in which blocks were unlinked: no reader of a later epoch walks from the heads of before.
    this.#announce()
  }

  /** Most blocks that so many rows take: none is begun beyond one a list, but for those that are full. */
  #blocksFor(rows: number): number {
    return Math.min(rows, this.count) + Math.floor(rows / BLOCK)
  }

  /** Whether a list can be written anew beside `reserved` rows. Where memory is short, it goes on with what is dead of it. */
  #hasRoom(list: number, reserved: number): boolean {
    try {
      this.#blocks.reserve(this.#chains.needed(list) + this.#blocksFor(reserved))
      return true
    } catch {
      return false
    }
  }

  #appendTo(chains: ListChains, row: number, list: number): number {
    return chains.append(list, row, this.#blocks.codesOf(Math.floor(row / SLOTS)), row % SLOTS)
  }

  #place(row: number, place: number): void {
    this.#placesOf(row)[row % SLOTS] = place + 1
  }

  /** Places of the rows of the segment that a row is in. */
  #placesOf(row: number): Uint32Array {
    const segment = Math.floor(row / SLOTS)
    while (this.#places.length <= segment) this.#places.push(new Uint32Array(SLOTS))
    return this.#places[segment]!
  }
}
