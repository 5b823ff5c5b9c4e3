/**
 * Lists as chains of blocks, each from a head that readers know. Two sets of chains may share lists: one that is in
 * force, and one that is made to take its place.
 */
import type { CodeColumns } from "../kernels/columns.ts"
import { BLOCK, BLOCKS, SLOTS } from "./layout.ts"
import type { ListBlocks } from "./list-blocks.ts"

/** The list of a block that is not known to be in any. */
const UNKNOWN = -1

export class ListChains {
  readonly #blocks: ListBlocks
  readonly heads: Uint32Array
  /** Last block of each list plus one, and the slots used in it. */
  readonly #tails: Uint32Array
  readonly #filled: Uint8Array
  /** Live rows of each list, and slots of it whose row is gone. */
  readonly sizes: Uint32Array
  readonly #dead: Uint32Array
  /** Rows of each list when it was made of a split that could not part them, or the fewest since; otherwise 0. */
  readonly tried: Uint32Array
  /** List of each block, a chunk of blocks at a time. */
  readonly #listOf: Array<Int32Array> = []

  constructor(blocks: ListBlocks, count: number) {
    this.#blocks = blocks
    this.heads = new Uint32Array(new SharedArrayBuffer(4 * count))
    this.#tails = new Uint32Array(count)
    this.#filled = new Uint8Array(count)
    this.sizes = new Uint32Array(count)
    this.#dead = new Uint32Array(count)
    this.tried = new Uint32Array(count)
  }

  get count(): number {
    return this.heads.length
  }

  /** The list that a block is in. */
  listOf(block: number): number {
    return this.#listsOf(block)[block % BLOCKS]!
  }

  /** Blocks of a list, in order. */
  chain(list: number): ReadonlyArray<number> {
    return this.#blocks.chain(this.heads[list]!)
  }

  /** Writes a code to the end of a list: its place, which counts the slots of all blocks. */
  append(list: number, row: number, codes: CodeColumns, slot: number): number {
    if (this.#filled[list] === BLOCK || this.#tails[list] === 0) this.#extend(list)
    return this.#write(list, row, codes, slot)
  }

  /** Takes what is at a place out of its list: whether most of the list is gone now. */
  remove(place: number): boolean {
    const block = Math.floor(place / BLOCK)
    this.#blocks.clear(block, place % BLOCK)
    const list = this.listOf(block)
    this.sizes[list]!--
    this.#dead[list]!++
    this.tried[list] = Math.min(this.tried[list]!, this.sizes[list]!)
    return this.#dead[list]! > BLOCK && this.#dead[list]! > this.sizes[list]!
  }

  /** Blocks that what lives of a list takes. */
  needed(list: number): number {
    return Math.ceil(this.sizes[list]! / BLOCK)
  }

  /**
   * Copies what lives of a list into blocks of its own and moves the head there; `placed` is told where. Without memory
   * for all of it nothing is changed.
   */
  rewrite(list: number, placed: (row: number, place: number) => void): void {
    this.#blocks.reserve(this.needed(list))
    const old = this.chain(list)
    this.#tails[list] = 0
    this.#filled[list] = 0
    this.sizes[list] = 0
    this.#dead[list] = 0
    let first = 0
    for (const block of old) {
      const { codes } = this.#blocks.viewsOf(block)
      this.#blocks.forEachLive(block, (lane, row) => {
        if (this.#filled[list] === BLOCK || this.#tails[list] === 0) this.#extend(list, first === 0)
        first ||= this.#tails[list]!
        placed(row, this.#write(list, row, codes, (block * BLOCK + lane) % SLOTS))
      })
    }
    Atomics.store(this.heads, list, first)
    this.#blocks.unlink(old)
  }

  /** Takes over a list of other chains as it is. */
  share(list: number, from: ListChains, theirs: number): void {
    this.heads[list] = from.heads[theirs]!
    this.#tails[list] = from.#tails[theirs]!
    this.#filled[list] = from.#filled[theirs]!
    this.sizes[list] = from.sizes[theirs]!
    this.#dead[list] = from.#dead[theirs]!
    this.tried[list] = from.tried[theirs]!
    for (const block of this.chain(list)) this.#listsOf(block)[block % BLOCKS] = list
  }

  /** Takes in a list that was read: the rows in it, or -1 when it is no chain of blocks or `place` refuses a row. */
  adopt(list: number, place: (row: number, place: number) => boolean): number {
    let before = 0
    for (let next = this.heads[list]!; next > 0; ) {
      const block = next - 1
      if (block >= this.#blocks.used || this.listOf(block) !== UNKNOWN) return -1
      this.#listsOf(block)[block % BLOCKS] = list
      let live = 0
      let slots = 0
      let isWhole = true
      this.#blocks.forEachLive(block, (lane, row) => {
        isWhole &&= place(row, block * BLOCK + lane)
        live++
        slots = lane + 1
      })
      if (!isWhole) return -1
      this.sizes[list] = this.sizes[list]! + live
      this.#tails[list] = next
      this.#filled[list] = slots
      this.#dead[list] = before + slots - this.sizes[list]!
      before += BLOCK
      next = this.#blocks.nextOf(block)
    }
    return this.sizes[list]!
  }

  /** Blocks that are in no list after all lists were adopted. */
  unknown(): ReadonlyArray<number> {
    const unknown: Array<number> = []
    for (let block = 0; block < this.#blocks.used; block++) if (this.listOf(block) === UNKNOWN) unknown.push(block)
    return unknown
  }

  /** Adds an empty block to a list; a detached one is not reached from the list before it. */
  #extend(list: number, detached = false): void {
    const block = this.#blocks.take()
    this.#listsOf(block)[block % BLOCKS] = list
    const tail = this.#tails[list]!
    if (tail !== 0) this.#blocks.link(tail - 1, block + 1)
    else if (!detached) Atomics.store(this.heads, list, block + 1)
    this.#tails[list] = block + 1
    this.#filled[list] = 0
  }

  /** Lists of the blocks that lie beside a block. */
  #listsOf(block: number): Int32Array {
    const from = Math.floor(block / BLOCKS)
    while (this.#listOf.length <= from) this.#listOf.push(new Int32Array(BLOCKS).fill(UNKNOWN))
    return this.#listOf[from]!
  }

  #write(list: number, row: number, codes: CodeColumns, slot: number): number {
    const block = this.#tails[list]! - 1
    const lane = this.#filled[list]!
    this.#blocks.write(block, lane, row, codes, slot)
    this.#filled[list]!++
    this.sizes[list]!++
    return block * BLOCK + lane
  }
}
