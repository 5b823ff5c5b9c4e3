/**
 * Inverted lists in shared memory: the owner puts rows into them and takes rows out while any thread searches.
 *
 * A list is a chain of blocks of 64 slots that only grows at its end. A slot is written before its live bit is set,
 * and never again while it can be reached. A list of which more than half is dead is written anew into other blocks,
 * and its head moved to them; the old blocks are used again once no reader can still walk them.
 */
import type { Centroids } from "../index/ivf.ts"
import { type CodeColumns, codeColumns } from "../kernels/columns.ts"
import type { Kernels, SegmentLayout } from "../kernels/contract.ts"
import { LINKS_BYTES } from "../kernels/shape.ts"
import { aligned, newAligned } from "./aligned.ts"
import { copyCode } from "./code-column.ts"
import { notAfter } from "./directory.ts"
import { BLOCK, BLOCKS, CODE_BLOCK_BYTES, SLOTS } from "./layout.ts"
import { centroidViews, type ListBuffers, type ListChunk, type ListChunkViews, listChunkViews } from "./list-columns.ts"
import { newCodeColumn, type StoreShape } from "./memory.ts"

/** Blocks that readers may still walk. */
interface Unlinked {
  readonly blocks: ReadonlyArray<number>
  readonly epoch: number
}

/** What the writer needs of its store. */
interface ListStore {
  readonly kernels: Kernels
  readonly shape: StoreShape
  readonly columns: { readonly layout: SegmentLayout; readonly codes: ReadonlyArray<Uint8Array> }
  readonly directory: { readonly epoch: number }
}

/** The list of a block that is not known to be in any. */
const UNKNOWN = -1

export class ListWriter {
  readonly centroids: Centroids
  readonly #store: ListStore
  readonly #announce: () => void
  readonly #buffers: { readonly centroids: SharedArrayBuffer; readonly heads: SharedArrayBuffer }
  readonly #heads: Uint32Array
  /** Last block of each list plus one, and the slots used in it. */
  readonly #tails: Uint32Array
  readonly #filled: Uint8Array
  /** Live rows of each list, and slots of it whose row is gone. */
  readonly #sizes: Uint32Array
  readonly #dead: Uint32Array
  #chunks: ReadonlyArray<ListChunk> = []
  readonly #views: Array<ListChunkViews> = []
  /** Blocks ever used. */
  #blocks = 0
  readonly #free: Array<number> = []
  #unlinked: Array<Unlinked> = []
  /** Slot of each row in the lists plus one, a segment at a time. */
  readonly #places: Array<Uint32Array> = []
  readonly #codes: Array<CodeColumns> = []
  /** List of each block. */
  readonly #listOf: Array<number> = []

  /** Empty lists around `centroids`. `announce` is called when there are more buffers. */
  constructor(store: ListStore, centroids: SharedArrayBuffer, announce: () => void) {
    this.#store = store
    this.#announce = announce
    this.centroids = centroidViews(centroids)
    const lists = this.centroids.halfNorms.length
    this.#buffers = { centroids, heads: new SharedArrayBuffer(4 * lists) }
    this.#heads = new Uint32Array(this.#buffers.heads)
    this.#tails = new Uint32Array(lists)
    this.#filled = new Uint8Array(lists)
    this.#sizes = new Uint32Array(lists)
    this.#dead = new Uint32Array(lists)
  }

  get buffers(): ListBuffers {
    return { ...this.#buffers, chunks: this.#chunks }
  }

  /** Blocks ever used. */
  get blocks(): number {
    return this.#blocks
  }

  get count(): number {
    return this.#sizes.length
  }

  /** Bytes of centroids and blocks: in use, and set aside. */
  get bytes(): { readonly touched: number; readonly allocated: number } {
    const { centroids, heads } = this.#buffers
    const fixed = centroids.byteLength + heads.byteLength
    const chunk = LINKS_BYTES + (this.#chunks[0]?.codes.byteLength ?? 0)
    return {
      touched: fixed + Math.ceil((this.#blocks * chunk) / BLOCKS),
      allocated: fixed + this.#chunks.length * chunk
    }
  }

  /** Makes room for `blocks` blocks that are read from a file; each list is to be adopted then. */
  allocate(blocks: number): void {
    while (this.#chunks.length * BLOCKS < blocks) this.#addChunk()
    this.#blocks = blocks
    for (let block = 0; block < blocks; block++) this.#listOf.push(UNKNOWN)
  }

  /** Takes in a list that was read: the rows in it, or -1 when it is no chain of blocks or a row is not `isLive`. */
  adopt(list: number, isLive: (row: number) => boolean): number {
    let before = 0
    for (let next = this.#heads[list]!; next > 0; ) {
      const block = next - 1
      if (block >= this.#blocks || this.#listOf[block] !== UNKNOWN) return -1
      this.#listOf[block] = list
      const used = this.#adoptBlock(block, isLive)
      if (used === undefined) return -1
      this.#sizes[list] = this.#sizes[list]! + used.live
      this.#tails[list] = next
      this.#filled[list] = used.slots
      this.#dead[list] = before + used.slots - this.#sizes[list]!
      before += BLOCK
      next = this.#views[Math.floor(block / BLOCKS)]!.next[block % BLOCKS]!
    }
    return this.#sizes[list]!
  }

  /** The live slots of a block, and those up to the last of them; undefined when one holds no live row of its own. */
  #adoptBlock(
    block: number,
    isLive: (row: number) => boolean
  ): { readonly live: number; readonly slots: number } | undefined {
    const { live: words, rows } = this.#views[Math.floor(block / BLOCKS)]!
    const from = (block % BLOCKS) * BLOCK
    let live = 0
    let slots = 0
    for (let lane = 0; lane < BLOCK; lane++) {
      const slot = from + lane
      if (((words[slot >>> 5]! >>> (slot & 31)) & 1) === 0) continue
      const row = rows[slot]!
      if (!isLive(row) || this.#placesOf(row)[row % SLOTS] !== 0) return undefined
      this.#placesOf(row)[row % SLOTS] = block * BLOCK + lane + 1
      live++
      slots = lane + 1
    }
    return { live, slots }
  }

  /** After all lists were adopted: blocks of none of them can be used. */
  freeTheRest(): void {
    for (const [block, list] of this.#listOf.entries()) if (list === UNKNOWN) this.#free.push(block)
  }

  /** Puts a row whose code is written at the end of a list. It counts once its live bit in the store is set too. */
  append(row: number, list: number): void {
    if (this.#filled[list] === BLOCK || this.#tails[list] === 0) this.#extend(list)
    const block = this.#tails[list]! - 1
    const segment = Math.floor(row / SLOTS)
    this.#write(block, this.#filled[list]!, row, this.#codesOf(segment), row % SLOTS)
    this.#filled[list]!++
    this.#sizes[list]!++
  }

  /** The list that a row is in; undefined when it is in none. */
  listOf(row: number): number | undefined {
    const place = this.#places[Math.floor(row / SLOTS)]?.[row % SLOTS] ?? 0
    return place === 0 ? undefined : this.#listOf[Math.floor((place - 1) / BLOCK)]
  }

  /** Takes a row that is no longer live out of its list; the list is written anew when most of it is gone. */
  remove(row: number): void {
    const places = this.#places[Math.floor(row / SLOTS)]
    const place = places?.[row % SLOTS] ?? 0
    if (places === undefined || place === 0) return
    places[row % SLOTS] = 0
    const block = Math.floor((place - 1) / BLOCK)
    const { live } = this.#views[Math.floor(block / BLOCKS)]!
    const slot = (place - 1) % SLOTS
    Atomics.and(live, slot >>> 5, ~(1 << (slot & 31)))
    const list = this.#listOf[block]!
    this.#sizes[list]!--
    this.#dead[list]!++
    if (this.#dead[list]! > BLOCK && this.#dead[list]! > this.#sizes[list]!) this.rewrite(list)
  }

  /** Gives back the blocks that no reader is in any more: those unlinked in `ended` or before. */
  reclaim(ended: number): void {
    const held = this.#unlinked.findIndex(({ epoch }) => !notAfter(epoch, ended))
    const safe = this.#unlinked.splice(0, held < 0 ? this.#unlinked.length : held)
    for (const { blocks } of safe) for (const block of blocks) this.#free.push(block)
  }

  /** Blocks that lists of these sizes take at least. */
  get needed(): number {
    return this.#sizes.reduce((sum, size) => sum + Math.ceil(size / BLOCK), 0)
  }

  /** Live rows of a list. */
  sizeOf(list: number): number {
    return this.#sizes[list]!
  }

  /** Free blocks; the lowest is used next. */
  sortedFree(): ReadonlyArray<number> {
    return this.#free.sort((a, b) => b - a)
  }

  /** Gives up the highest blocks as long as they are free; the memory of those given up, to be released. */
  cut(): ReadonlyArray<Uint8Array> {
    const end = this.#blocks
    for (const free of this.sortedFree()) if (free === this.#blocks - 1) this.#blocks--
    this.#free.splice(0, end - this.#blocks)
    return this.#views.flatMap(({ codes }, chunk) => {
      const blocks = Math.max(0, this.#blocks - chunk * BLOCKS)
      return blocks < BLOCKS ? [codes.codes.subarray(blocks * CODE_BLOCK_BYTES, BLOCKS * CODE_BLOCK_BYTES)] : []
    })
  }

  /** Copies what lives of a list into blocks of its own and moves the head there. */
  rewrite(list: number): void {
    const old = this.chain(list)
    this.#tails[list] = 0
    this.#filled[list] = 0
    this.#sizes[list] = 0
    this.#dead[list] = 0
    let first = 0
    for (const block of old) {
      const { live, rows, codes } = this.#views[Math.floor(block / BLOCKS)]!
      const from = (block % BLOCKS) * BLOCK
      for (let lane = 0; lane < BLOCK; lane++) {
        const slot = from + lane
        if (((live[slot >>> 5]! >>> (slot & 31)) & 1) === 0) continue
        if (this.#filled[list] === BLOCK || this.#tails[list] === 0) this.#extend(list, first === 0)
        first ||= this.#tails[list]!
        this.#write(this.#tails[list]! - 1, this.#filled[list]!, rows[slot]!, codes, slot)
        this.#filled[list]!++
        this.#sizes[list]!++
      }
    }
    Atomics.store(this.#heads, list, first)
    this.#unlinked.push({ blocks: old, epoch: this.#store.directory.epoch })
  }

  /** Blocks of a list, in order. */
  chain(list: number): ReadonlyArray<number> {
    const blocks: Array<number> = []
    for (let next = this.#heads[list]!; next > 0; ) {
      blocks.push(next - 1)
      next = this.#views[Math.floor((next - 1) / BLOCKS)]!.next[(next - 1) % BLOCKS]!
    }
    return blocks
  }

  /** Adds an empty block to a list; a detached one is not reached from the list before it. */
  #extend(list: number, detached = false): void {
    const block = this.#free.pop() ?? this.#newBlock()
    const { live, next } = this.#views[Math.floor(block / BLOCKS)]!
    const at = block % BLOCKS
    Atomics.store(live, 2 * at, 0)
    Atomics.store(live, 2 * at + 1, 0)
    Atomics.store(next, at, 0)
    this.#listOf[block] = list
    const tail = this.#tails[list]!
    if (tail !== 0) Atomics.store(this.#views[Math.floor((tail - 1) / BLOCKS)]!.next, (tail - 1) % BLOCKS, block + 1)
    else if (!detached) Atomics.store(this.#heads, list, block + 1)
    this.#tails[list] = block + 1
    this.#filled[list] = 0
  }

  /** The code columns of a segment; they stay the same as long as these lists are in force. */
  #codesOf(segment: number): CodeColumns {
    const { layout, codes } = this.#store.columns
    const known = this.#codes[segment] ?? codeColumns(layout, codes[segment]!)
    this.#codes[segment] = known
    return known
  }

  #newBlock(): number {
    if (this.#blocks === this.#chunks.length * BLOCKS) {
      this.#addChunk()
      // Before a list can name a block of it.
      this.#announce()
    }
    return this.#blocks++
  }

  #addChunk(): void {
    const { kernels, shape, columns } = this.#store
    const chunk = { codes: newCodeColumn(shape), links: newAligned(LINKS_BYTES) }
    kernels.adviseHugePages(aligned(kernels, chunk.codes))
    this.#views.push(listChunkViews(kernels, columns.layout, chunk))
    this.#chunks = [...this.#chunks, chunk]
  }

  /** Places of the rows of the segment that a row is in. */
  #placesOf(row: number): Uint32Array {
    const segment = Math.floor(row / SLOTS)
    while (this.#places.length <= segment) this.#places.push(new Uint32Array(SLOTS))
    return this.#places[segment]!
  }

  #write(block: number, lane: number, row: number, codes: CodeColumns, from: number): void {
    const chunk = this.#views[Math.floor(block / BLOCKS)]!
    const slot = (block % BLOCKS) * BLOCK + lane
    copyCode(codes, from, chunk.codes, slot)
    chunk.rows[slot] = row
    this.#placesOf(row)[row % SLOTS] = block * BLOCK + lane + 1
    Atomics.or(chunk.live, slot >>> 5, 1 << (slot & 31))
  }
}
