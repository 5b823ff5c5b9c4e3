/**
 * The graph of a store as its owner sees it: buffers a segment, and which rows are linked.
 *
 * Rows are linked by pool workers while the owner writes on: a row that is published is found at
 * once, by a scan of what is not linked yet. The owner only takes the mark off a slot before it is
 * used again. No worker can be linking it then, because it works under a claim.
 */
import { lowestBit } from "../kernels/bits.ts"
import type { GraphLayout, Kernels } from "../kernels/contract.ts"
import { aligned } from "./aligned.ts"
import {
  DEAD_WORD,
  GRAPH_WORDS,
  type GraphBuffers,
  type GraphOptions,
  graphLayout,
  LINKED_WORD,
  linkedBits,
  newGraphSegment
} from "./graph-columns.ts"
import { BLOCK, type Column, SLOTS } from "./layout.ts"
import type { Segment, StoreShape } from "./memory.ts"

/** Highest level, and what of a node's word says it. */
const MAX_LEVEL = 15

interface Part {
  readonly buffer: SharedArrayBuffer
  readonly view: Uint8Array
  readonly linked: Int32Array
}

export class Graph {
  readonly options: GraphOptions
  readonly layout: GraphLayout
  readonly words = new Int32Array(new SharedArrayBuffer(4 * GRAPH_WORDS))
  readonly mean: Float32Array<SharedArrayBuffer>
  readonly #kernels: Kernels
  readonly #shape: StoreShape
  readonly #parts: Array<Part> = []
  /** Linked rows that died since links were last repaired. */
  died = 0
  /** Rows whose links a repair has been through; undefined when none is under way. */
  repaired: number | undefined

  /**
   * Bits of the slots of each segment whose links came from an image: they are marked as linked once their vectors
   * have been copied.
   */
  unrestored: ReadonlyArray<Uint8Array> | undefined

  /** A graph with no rows. `mean` is near the middle of the vectors: copies are relative to it. */
  constructor(kernels: Kernels, shape: StoreShape, options: GraphOptions, mean: Float32Array<SharedArrayBuffer>) {
    this.#kernels = kernels
    this.#shape = shape
    this.options = options
    this.layout = graphLayout(shape, options.m)
    this.mean = mean
  }

  get buffers(): GraphBuffers {
    return {
      options: this.options,
      words: this.words.buffer as SharedArrayBuffer,
      mean: this.mean.buffer,
      segments: this.#parts.map(({ buffer }) => buffer)
    }
  }

  /** Room for the rows of `count` segments. */
  extend(count: number): void {
    while (this.#parts.length < count) {
      const buffer = newGraphSegment(this.#kernels, this.#shape, this.options, this.#parts.length)
      const view = aligned(this.#kernels, buffer)
      this.#parts.push({ buffer, view, linked: linkedBits(view) })
    }
  }

  /** Rows in the graph, dead ones included. */
  get linked(): number {
    return Atomics.load(this.words, LINKED_WORD)
  }

  /** The aligned buffer of a segment. */
  part(segment: number): Uint8Array {
    return this.#parts[segment]!.view
  }

  /** Level of a row, whether it is linked or not. */
  level(row: number): number {
    return this.#words32(Math.floor(row / SLOTS), this.layout.nodesOffset)[row % SLOTS]! & MAX_LEVEL
  }

  /** Row plus one and level of the entry, 0 for none; no worker may be at work. */
  get entry(): readonly [row: number, level: number] {
    return [this.words[0]! >>> 0, this.words[1]!]
  }

  /** Sets the entry, a row plus one or 0: nobody links rows meanwhile. */
  enter(row: number, level: number): void {
    Atomics.store(new BigUint64Array(this.words.buffer, 0, 1), 0, (BigInt(level) << 32n) | BigInt(row))
  }

  /** Forgets rows `[bound, rows)`, none of which is live, and to which no link leads any more. */
  cut(bound: number, rows: number): void {
    for (let row = bound; row < rows; row++) this.unlink(row)
    if (this.entry[0] > bound) this.enterHighest(bound, (row) => this.#isLinked(row))
  }

  /** Makes the first of the highest linked rows below `bound` the entry, or none where no row is linked. */
  enterHighest(bound: number, isLinked: (row: number) => boolean): void {
    let highest = -1
    for (let row = 0; row < bound; row++) {
      if (isLinked(row) && (highest < 0 || this.level(row) > this.level(highest))) highest = row
    }
    this.enter(highest + 1, highest < 0 ? 0 : this.level(highest))
  }

  /** Bits of the linked slots of a segment. */
  linkedBytes(segment: number): Uint8Array {
    return this.part(segment).subarray(this.layout.linkedOffset, this.layout.linkedOffset + SLOTS / 8)
  }

  /** Lowest links of all slots of a segment. */
  lowestLinks(segment: number): Uint32Array {
    return this.#words32(segment, this.layout.linksOffset).subarray(0, 2 * this.options.m * SLOTS)
  }

  /** Upper links of the first `slots` slots of a segment, or of all when it has fewer. */
  upperLinks(segment: number, slots: number): Uint8Array {
    const upper = this.part(segment).subarray(this.layout.upperOffset)
    const places = this.#words32(segment, this.layout.placesOffset)
    return slots < SLOTS ? upper.subarray(0, places[slots]! * 4) : upper
  }

  /** Columns of which a slot that is not in the graph needs nothing. */
  get slotColumns(): ReadonlyArray<Column> {
    const { m, termsOffset, linksOffset, copiesOffset } = this.layout
    const columns = [
      { name: "terms", offset: termsOffset, blockBytes: 8 * BLOCK },
      { name: "links", offset: linksOffset, blockBytes: 8 * m * BLOCK }
    ]
    // Stored int8 vectors are their own copies.
    if (copiesOffset === 0) return columns
    return [...columns, { name: "copies", offset: copiesOffset, blockBytes: this.#shape.dimensions * BLOCK }]
  }

  /** Takes the mark off a slot that is about to be written again. */
  unlink(row: number): void {
    const saved = this.unrestored?.[Math.floor(row / SLOTS)]
    if (saved !== undefined) saved[(row % SLOTS) >>> 3]! &= ~(1 << (row & 7))
    if (!this.#isLinked(row)) return
    const { linked } = this.#parts[Math.floor(row / SLOTS)]!
    Atomics.and(linked, (row % SLOTS) >>> 5, ~(1 << (row & 31)))
    Atomics.sub(this.words, LINKED_WORD, 1)
    Atomics.sub(this.words, DEAD_WORD, 1)
  }

  /** Takes the mark off a live row, or puts it on again; false where that was done already. */
  mark(row: number, linked: boolean): boolean {
    if (this.#isLinked(row) === linked) return false
    const { linked: bits } = this.#parts[Math.floor(row / SLOTS)]!
    const bit = 1 << (row & 31)
    if (linked) Atomics.or(bits, (row % SLOTS) >>> 5, bit)
    else Atomics.and(bits, (row % SLOTS) >>> 5, ~bit)
    Atomics.add(this.words, LINKED_WORD, linked ? 1 : -1)
    return true
  }

  /** Counts a row that is no longer live. */
  bury(row: number): void {
    if (!this.#isLinked(row)) return
    Atomics.add(this.words, DEAD_WORD, 1)
    this.died++
  }

  /**
   * About how many of so many live rows are not linked: a row that dies while it is being linked is not counted as
   * dead until `settle`.
   */
  pending(live: number): number {
    return Math.max(0, live - this.linked + Atomics.load(this.words, DEAD_WORD))
  }

  /** Corrects the count of dead rows, given how many live rows are linked; no worker may be at work. */
  settle(live: number): void {
    Atomics.store(this.words, DEAD_WORD, Math.max(0, this.linked - live))
  }

  /** Live rows that are not linked, in order: the first `limit`, and a few more. */
  pendingRows(segments: ReadonlyArray<Segment>, limit: number): Uint32Array<ArrayBuffer> {
    const rows: Array<number> = []
    for (let i = 0; i < this.#parts.length; i++) {
      const { live } = segments[i]!
      const { linked } = this.#parts[i]!
      for (let word = 0; word < live.length && rows.length < limit; word++) {
        let pending = Atomics.load(live, word) & ~Atomics.load(linked, word)
        if (pending === 0) continue
        for (; pending !== 0; pending &= pending - 1) {
          rows.push(i * SLOTS + word * 32 + lowestBit(pending))
        }
      }
    }
    return Uint32Array.from(rows)
  }

  /** Bytes set aside, and those of the rows used so far. */
  bytes(rows: number): { readonly touched: number; readonly allocated: number } {
    const allocated = this.#parts.reduce((sum, { view }) => sum + view.length, 0)
    const slots = this.#parts.length * SLOTS
    const used = Math.ceil(rows / BLOCK) * BLOCK
    return { touched: slots === 0 ? 0 : Math.ceil((allocated * used) / slots), allocated }
  }

  #words32(segment: number, offset: number): Uint32Array {
    const part = this.part(segment)
    return new Uint32Array(part.buffer, part.byteOffset + offset, (part.length - offset) >>> 2)
  }

  #isLinked(row: number): boolean {
    const linked = this.#parts[Math.floor(row / SLOTS)]?.linked
    return linked !== undefined && ((Atomics.load(linked, (row % SLOTS) >>> 5) >>> (row & 31)) & 1) === 1
  }
}
