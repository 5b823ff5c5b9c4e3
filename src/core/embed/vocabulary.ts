/**
 * A word-piece vocabulary packed for look-ups that make no string: its text as code units, and
 * two open-addressed tables of ids. All of it may lie in shared memory, so that a worker thread
 * gets it without a copy.
 */
import { EMPTY_HASH, extendHash } from "./fnv1a.ts"

/** Marks a piece that continues a word. */
const CONTINUATION = "##"

export interface Vocabulary {
  /** The pieces one after another, without their `##`. */
  readonly units: Uint16Array
  /** Piece `id` is `units[starts[id]]` up to, not including, `units[starts[id + 1]]`. */
  readonly starts: Uint32Array
  /** Pieces that start a word: `id + 1` in the first free slot from its hash on, 0 when free. */
  readonly heads: Uint32Array
  /** Pieces that continue a word, likewise. */
  readonly tails: Uint32Array
  /** Code units of the longest piece, in one element. */
  readonly longest: Uint32Array
}

/** First slot to look at: FNV leaves its low bits weak, so the high ones are folded in. */
const firstSlot = (hash: number, mask: number): number => (hash ^ (hash >>> 15)) & mask

/**
 * Packs pieces `[from, to)` of `lines`, which are in order of id, into `vocabulary`: its arrays
 * are zero at first, and ranges come in order.
 */
export const packVocabulary = (
  lines: ReadonlyArray<string>,
  from: number,
  to: number,
  vocabulary: Vocabulary
): void => {
  const { units, starts, heads, tails, longest } = vocabulary
  let end = starts[from]!
  for (let id = from; id < to; id++) {
    const line = lines[id]!
    const tail = line.startsWith(CONTINUATION) && line.length > CONTINUATION.length
    const start = end
    let hash = EMPTY_HASH
    for (let i = tail ? CONTINUATION.length : 0; i < line.length; i++) {
      const unit = line.charCodeAt(i)
      units[end++] = unit
      hash = extendHash(hash, unit)
    }
    starts[id + 1] = end
    if (end - start > longest[0]!) longest[0] = end - start
    const slots = tail ? tails : heads
    const mask = slots.length - 1
    let slot = firstSlot(hash, mask)
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = id + 1
  }
}

/** The id of the piece `text[from..to)`, whose hash is `hash`, or -1. */
export const findPiece = (
  vocabulary: Vocabulary,
  slots: Uint32Array,
  hash: number,
  text: Uint16Array,
  from: number,
  to: number
): number => {
  const { units, starts } = vocabulary
  const mask = slots.length - 1
  for (let slot = firstSlot(hash, mask); ; slot = (slot + 1) & mask) {
    const id = slots[slot]! - 1
    if (id < 0) return -1
    const start = starts[id]!
    if (starts[id + 1]! - start !== to - from) continue
    let i = from
    while (i < to && units[start + i - from] === text[i]) i++
    if (i === to) return id
  }
}
