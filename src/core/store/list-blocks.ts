/** The blocks that inverted lists are made of: taken, written, linked to one another, and given back. */
import { type CodeColumns, codeColumns } from "../kernels/columns.ts"
import type { Kernels, SegmentLayout } from "../kernels/contract.ts"
import { LINKS_BYTES } from "../kernels/shape.ts"
import { alignedBytes, newAligned } from "./aligned.ts"
import { copyCode } from "./code-column.ts"
import { notAfter } from "./directory.ts"
import { BLOCK, BLOCKS } from "./layout.ts"
import { type ListChunk, type ListChunkViews, listChunkViews } from "./list-columns.ts"
import { newHugeCodeColumn, type StoreShape } from "./memory.ts"

/** Blocks that readers may still walk. */
interface Unlinked {
  readonly blocks: ReadonlyArray<number>
  readonly epoch: number
}

/** What the writer of lists needs of its store. */
export interface ListStore {
  readonly kernels: Kernels
  readonly shape: StoreShape
  readonly columns: { readonly layout: SegmentLayout; readonly codes: ReadonlyArray<Uint8Array> }
  readonly directory: { readonly epoch: number }
}

export class ListBlocks {
  readonly #store: ListStore
  readonly #announce: () => void
  #chunks: ReadonlyArray<ListChunk> = []
  readonly #views: Array<ListChunkViews> = []
  /** Blocks ever used. */
  #used = 0
  readonly #free: Array<number> = []
  #unlinked: Array<Unlinked> = []
  readonly #codes: Array<CodeColumns> = []

  /** `announce` is called when there are more buffers. */
  constructor(store: ListStore, announce: () => void) {
    this.#store = store
    this.#announce = announce
  }

  get chunks(): ReadonlyArray<ListChunk> {
    return this.#chunks
  }

  /** Blocks ever used. */
  get used(): number {
    return this.#used
  }

  /** Bytes of blocks: in use, and set aside. */
  get bytes(): { readonly touched: number; readonly allocated: number } {
    const [first] = this.#chunks
    const chunk = first === undefined ? 0 : LINKS_BYTES + alignedBytes(first.codes)
    return { touched: Math.ceil((this.#used * chunk) / BLOCKS), allocated: this.#chunks.length * chunk }
  }

  /** Makes room for `blocks` blocks that are read from a file. */
  allocate(blocks: number): void {
    while (this.#chunks.length * BLOCKS < blocks) this.#addChunk()
    this.#used = blocks
  }

  /** Makes sure that so many blocks can be taken. */
  reserve(blocks: number): void {
    const { length } = this.#chunks
    try {
      while (this.#free.length + this.#chunks.length * BLOCKS - this.#used < blocks) this.#addChunk()
    } finally {
      // Before a list can name a block of it, also of those that were had before memory ran out.
      if (this.#chunks.length > length) this.#announce()
    }
  }

  /** An empty block that no reader reaches. */
  take(): number {
    this.reserve(1)
    const block = this.#free.pop() ?? this.#used++
    const { live } = this.viewsOf(block)
    const at = block % BLOCKS
    Atomics.store(live, 2 * at, 0)
    Atomics.store(live, 2 * at + 1, 0)
    this.link(block, 0)
    return block
  }

  /** Sets what follows a block: another one plus one, or 0. */
  link(block: number, next: number): void {
    Atomics.store(this.viewsOf(block).next, block % BLOCKS, next)
  }

  /** The blocks of a chain, in order, from `next`: a block plus one. */
  chain(next: number): ReadonlyArray<number> {
    const blocks: Array<number> = []
    for (let at = next; at > 0; at = this.nextOf(at - 1)) blocks.push(at - 1)
    return blocks
  }

  /** The block that follows one, plus one, or 0. */
  nextOf(block: number): number {
    return this.viewsOf(block).next[block % BLOCKS]!
  }

  viewsOf(block: number): ListChunkViews {
    return this.#views[Math.floor(block / BLOCKS)]!
  }

  /** Calls `visit` with the lane and row of every live slot of a block. */
  forEachLive(block: number, visit: (lane: number, row: number) => void): void {
    const { live, rows } = this.viewsOf(block)
    const from = (block % BLOCKS) * BLOCK
    for (let lane = 0; lane < BLOCK; lane++) {
      const slot = from + lane
      if (((live[slot >>> 5]! >>> (slot & 31)) & 1) === 1) visit(lane, rows[slot]!)
    }
  }

  /** Writes a code, slot `from` of `codes`, with its row to a slot that was not used since the block was taken. */
  write(block: number, lane: number, row: number, codes: CodeColumns, from: number): void {
    const chunk = this.viewsOf(block)
    const slot = (block % BLOCKS) * BLOCK + lane
    copyCode(codes, from, chunk.codes, slot)
    chunk.rows[slot] = row
    Atomics.or(chunk.live, slot >>> 5, 1 << (slot & 31))
  }

  /** Takes the row of a slot out. */
  clear(block: number, lane: number): void {
    const slot = (block % BLOCKS) * BLOCK + lane
    Atomics.and(this.viewsOf(block).live, slot >>> 5, ~(1 << (slot & 31)))
  }

  /** The code columns of a segment; they stay the same as long as these lists are in force. */
  codesOf(segment: number): CodeColumns {
    const { layout, codes } = this.#store.columns
    const known = this.#codes[segment] ?? codeColumns(layout, codes[segment]!)
    this.#codes[segment] = known
    return known
  }

  /** Takes back blocks that no reader has reached. */
  give(blocks: ReadonlyArray<number>): void {
    for (const block of blocks) this.#free.push(block)
  }

  /** Takes back blocks that no list leads to any more, once the readers of now have gone. */
  unlink(blocks: ReadonlyArray<number>): void {
    if (blocks.length > 0) this.#unlinked.push({ blocks, epoch: this.#store.directory.epoch })
  }

  /** Gives back the blocks that no reader is in any more: those unlinked in `ended` or before. */
  reclaim(ended: number): void {
    const held = this.#unlinked.findIndex(({ epoch }) => !notAfter(epoch, ended))
    const safe = this.#unlinked.splice(0, held < 0 ? this.#unlinked.length : held)
    for (const { blocks } of safe) this.give(blocks)
  }

  /** Free blocks; the lowest is used next. */
  sortedFree(): ReadonlyArray<number> {
    return this.#free.sort((a, b) => b - a)
  }

  /** Gives up the highest blocks as long as they are free; the memory of those given up, to be released. */
  cut(): ReadonlyArray<Uint8Array> {
    const end = this.#used
    for (const free of this.sortedFree()) if (free === this.#used - 1) this.#used--
    this.#free.splice(0, end - this.#used)
    return this.#views.flatMap(({ codes }, chunk) => {
      const blocks = Math.max(0, this.#used - chunk * BLOCKS)
      return blocks < BLOCKS ? [codes.codes.subarray(blocks * codes.blockBytes, BLOCKS * codes.blockBytes)] : []
    })
  }

  #addChunk(): void {
    const { kernels, shape, columns } = this.#store
    const chunk = { codes: newHugeCodeColumn(kernels, shape), links: newAligned(LINKS_BYTES) }
    this.#views.push(listChunkViews(kernels, columns.layout, chunk))
    this.#chunks = [...this.#chunks, chunk]
  }
}
