/** Which blocks of 64 rows have damaged bytes, column by column. */
import { BLOCK, BLOCKS, type Column, codeColumns } from "../layout.ts"
import { columnsOf, type StoreShape } from "../memory.ts"
import type { Damage } from "./intact.ts"

/** The column of record addresses, which has a buffer of its own. */
const ADDRESSES: Column = { name: "addresses", offset: 0, blockBytes: 4 * BLOCK }

export class BadBlocks {
  readonly #marks = new Map<string, Uint8Array>()

  constructor(damages: ReadonlyArray<Damage>, shape: StoreShape) {
    const columns: Readonly<Record<string, ReadonlyArray<Column>>> = {
      rows: columnsOf(shape),
      codes: codeColumns(shape.metric, shape.pq),
      addresses: [ADDRESSES]
    }
    for (const { range, from, to } of damages) {
      if (range.section !== "segments") continue
      for (const column of columns[range.buffer]!) this.#mark(range.segment, column, from, to)
    }
  }

  #mark(segment: number, { name, offset, blockBytes }: Column, from: number, to: number): void {
    const first = Math.max(0, Math.floor((from - offset) / blockBytes))
    const end = Math.min(BLOCKS, Math.ceil((to - offset) / blockBytes))
    if (first >= end) return
    const place = `${name} ${segment}`
    const marks = this.#marks.get(place) ?? new Uint8Array(BLOCKS)
    this.#marks.set(place, marks.fill(1, first, end))
  }

  /** Whether a column of the block of a slot is damaged. */
  has(column: string, segment: number, slot: number): boolean {
    return this.#marks.get(`${column} ${segment}`)?.[Math.floor(slot / BLOCK)] === 1
  }

  /** Whether a column is damaged anywhere. */
  hasAny(column: string): boolean {
    return [...this.#marks.keys()].some((place) => place.startsWith(`${column} `))
  }
}
