/** Filters over the typed columns of segments, a block of 64 slots at a time. */
import { bitsSet } from "./bits.ts"
import type { Filter, Kernels } from "./contract.ts"
import { requireLayout } from "./refusal.ts"
import { liveHalf } from "./seqlock.ts"
import { BLOCK, BLOCKS, FILTER_OP, FILTER_OP_WORDS, SLOTS } from "./shape.ts"

/** The slots of a block, a bit each. */
interface Word {
  readonly low: number
  readonly high: number
}

/** One operation over one segment: takes words from the stack and pushes one. */
type Step = (stack: Array<Word>, block: number) => void

/** A filter over one segment. */
export type SegmentFilter = (block: number) => Word

const DEEPEST = 64

/** The slots of a block that `holds`. */
const wordOf = (holds: (slot: number) => boolean): Word => {
  let low = 0
  let high = 0
  for (let lane = 0; lane < 32; lane++) {
    if (holds(lane)) low |= 1 << lane
    if (holds(lane + 32)) high |= 1 << lane
  }
  return { low, high }
}

const pushing =
  (column: ArrayLike<number>, holds: (value: number) => boolean): Step =>
  (stack, block) => {
    stack.push(wordOf((lane) => holds(column[block * BLOCK + lane]!)))
  }

const joining =
  (join: (a: number, b: number) => number): Step =>
  (stack) => {
    const a = stack.pop()!
    const b = stack.pop()!
    stack.push({ low: join(a.low, b.low), high: join(a.high, b.high) })
  }

/** A filter as it applies to one rows buffer; refuses what does not lie inside it. */
export const segmentFilter = ({ ops, constants }: Filter, rows: Uint8Array): SegmentFilter => {
  requireLayout(ops.length % FILTER_OP_WORDS === 0, "a filter is not whole operations")
  const steps: Array<Step> = []
  let depth = 0
  for (let at = 0; at < ops.length; at += FILTER_OP_WORDS) {
    const [op, offset, first, count] = ops.subarray(at, at + FILTER_OP_WORDS) as unknown as [
      number,
      number,
      number,
      number
    ]
    const place = (bytes: number) => {
      requireLayout(offset % BLOCK === 0, "a column is not 64-byte aligned")
      requireLayout(offset + bytes * SLOTS <= rows.length, "a column outside the rows")
      return [rows.buffer, rows.byteOffset + offset, SLOTS] as const
    }
    const values = () => {
      requireLayout(first + count <= constants.length, "a constant outside the constants")
      return constants.subarray(first, first + count)
    }
    const isIn = () => {
      const among = values()
      return (value: number) => among.some((constant) => constant === value)
    }
    let taken = 0
    switch (op) {
      case FILTER_OP.nothing:
        steps.push((stack) => stack.push({ low: 0, high: 0 }))
        break
      case FILTER_OP.between: {
        const [low, high] = values()
        requireLayout(count === 2, "a filter has an unknown operation")
        steps.push(pushing(new Float64Array(...place(8)), (value) => low! <= value && value <= high!))
        break
      }
      case FILTER_OP.in64:
        steps.push(pushing(new Float64Array(...place(8)), isIn()))
        break
      case FILTER_OP.in32:
        steps.push(pushing(new Uint32Array(...place(4)), isIn()))
        break
      case FILTER_OP.in8:
        steps.push(pushing(new Uint8Array(...place(1)), isIn()))
        break
      case FILTER_OP.not:
        taken = 1
        steps.push((stack) => {
          const { low, high } = stack.pop()!
          stack.push({ low: ~low, high: ~high })
        })
        break
      case FILTER_OP.and:
        taken = 2
        steps.push(joining((a, b) => a & b))
        break
      case FILTER_OP.or:
        taken = 2
        steps.push(joining((a, b) => a | b))
        break
      default:
        requireLayout(false, "a filter has an unknown operation")
    }
    requireLayout(taken <= depth && depth - taken < DEEPEST, "a filter takes more words than it has")
    depth += 1 - taken
  }
  requireLayout(depth === 1, "a filter does not end with one word")
  return (block) => {
    const stack: Array<Word> = []
    for (const step of steps) step(stack, block)
    return stack[0]!
  }
}

/** The live slots of a block that pass: live words are read before the fields they speak for. */
export const livePassing = (live: Int32Array, filter: SegmentFilter, block: number): Word => {
  const low = liveHalf(live, 2 * block)
  const high = liveHalf(live, 2 * block + 1)
  if ((low | high) === 0) return { low, high }
  const passing = filter(block)
  return { low: low & passing.low, high: high & passing.high }
}

/** Whether one slot passes. */
export const passes = (filter: SegmentFilter | undefined, slot: number): boolean => {
  if (filter === undefined) return true
  const { low, high } = filter(Math.floor(slot / BLOCK))
  return ((((slot & 32) === 0 ? low : high) >>> (slot & 31)) & 1) === 1
}

/** Bits set in a word. */
export const count = ({ low, high }: Word): number => bitsSet(low) + bitsSet(high)

export const filterRows: Kernels["filterRows"] = (liveOffset, rows, filter, words) => {
  const blocks = Math.floor(words.length / 2)
  requireLayout(blocks <= rows.length * BLOCKS, "words for more blocks than there are")
  const segments = rows.map((segment) => {
    const { buffer, byteOffset, length } = segment
    const start = byteOffset + liveOffset
    requireLayout(liveOffset + 8 * BLOCKS <= length && start % 8 === 0, "live words outside the rows")
    return { live: new Int32Array(buffer, start, 2 * BLOCKS), filter: segmentFilter(filter, segment) }
  })
  let total = 0
  for (let block = 0; block < blocks; block++) {
    const segment = segments[Math.floor(block / BLOCKS)]!
    const word = livePassing(segment.live, segment.filter, block % BLOCKS)
    words[2 * block] = word.low
    words[2 * block + 1] = word.high
    total += count(word)
  }
  return total
}
