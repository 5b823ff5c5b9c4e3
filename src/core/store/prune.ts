/** Links of a graph to rows that a store is about to give up. */
import { forEachSliced } from "../slice.ts"
import type { Graph } from "./graph.ts"
import { BLOCK, SLOTS } from "./layout.ts"

/**
 * Takes out every link of rows below `bound` to others. Nobody may write links until those rows are given up: walks go
 * on, and read a list as a mixture of what it was and is.
 */
export const pruneLinks = async (graph: Graph, bound: number): Promise<void> => {
  const { m } = graph.options
  for (let first = 0; first < bound; first += SLOTS) {
    const segment = first / SLOTS
    const slots = Math.min(SLOTS, bound - first)
    const lowest = graph.lowestLinks(segment)
    await forEachSliced(Math.ceil(slots / BLOCK), undefined, (block) => {
      const end = Math.min(slots, (block + 1) * BLOCK)
      for (let slot = block * BLOCK; slot < end; slot++) prune(lowest, slot * 2 * m, 2 * m, bound)
    })
    const bytes = graph.upperLinks(segment, slots)
    const upper = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
    await forEachSliced(Math.floor(upper.length / m), undefined, (list) => prune(upper, list * m, m, bound))
  }
}

/** Moves the links of a list up over those to rows from `bound` on: a link is a row plus one, 0 ends a list. */
const prune = (links: Uint32Array, from: number, room: number, bound: number): void => {
  let kept = from
  let at = from
  for (; at < from + room && links[at] !== 0; at++) {
    const link = links[at]!
    if (link > bound) continue
    if (kept < at) Atomics.store(links, kept, link)
    kept++
  }
  for (; kept < at; kept++) Atomics.store(links, kept, 0)
}
