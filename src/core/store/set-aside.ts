/**
 * Rows out of the reach of walks for a while, as if they had never been linked: what is measured with them as queries
 * holds for queries that are not stored. Searches find them all the same, by the scan of what is not linked.
 */
import { forEachSliced } from "../slice.ts"
import type { Graph } from "./graph.ts"
import { BLOCK, SLOTS } from "./layout.ts"
import { isLive } from "./memory.ts"
import type { Store } from "./store.ts"

interface SetAside {
  readonly rows: ReadonlySet<number>
  /** Puts every link back where it was. */
  readonly restore: () => void
}

/** Whether a row is in the lowest lists alone, so that no walk starts at it or comes down through it. */
const isLowest = (graph: Graph, row: number): boolean => graph.level(row) === 0 && graph.entry[0] !== row + 1

/**
 * Sets those of `rows` aside that are live, linked and in the lowest level alone: levels are drawn, so that they are
 * as good a sample. From now until they are restored nobody may write links, and the caller has a claim: no slot of
 * theirs is reused.
 */
export const setAside = async (store: Store, graph: Graph, rows: Uint32Array): Promise<SetAside> => {
  const aside = new Set<number>()
  const bits = new Uint8Array(store.directory.rows)
  for (const row of rows) {
    if (!isLowest(graph, row) || !isRowLive(store, row) || !graph.mark(row, false)) continue
    aside.add(row)
    bits[row] = 1
  }
  const width = 2 * graph.options.m
  const links = store.segments.map((_, segment) => graph.lowestLinks(segment))
  /** Segment, place and link of each that was taken out. */
  const taken: Array<readonly [segment: number, at: number, link: number]> = []
  await forEachSliced(Math.ceil(bits.length / BLOCK), undefined, (block) => {
    const segment = Math.floor((block * BLOCK) / SLOTS)
    const first = ((block * BLOCK) % SLOTS) * width
    const list = links[segment]!
    for (let at = first; at < first + BLOCK * width; at++) {
      const link = list[at]!
      if (link === 0 || bits[link - 1] !== 1) continue
      taken.push([segment, at, link])
      // A link to itself leads nowhere; 0 would end the list.
      Atomics.store(list, at, segment * SLOTS + Math.floor(at / width) + 1)
    }
  })
  const restore = () => {
    for (const [segment, at, link] of taken) Atomics.store(links[segment]!, at, link)
    // One that died meanwhile stays as a slot does that is to be used again.
    for (const row of aside) if (isRowLive(store, row)) graph.mark(row, true)
  }
  return { rows: aside, restore }
}

const isRowLive = (store: Store, row: number): boolean => isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)
