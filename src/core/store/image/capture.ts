/**
 * A store at one moment, for an image that is written while others write to the store.
 *
 * What changes in place is written at once, while nobody else writes: keys, lists, the graph and tags. The columns of rows
 * are many times larger and are written later: a row that was live stays as it was while a claim is held, and the
 * bits of the moment tell which those are. Slots that were not live may hold anything; fields and payloads that were
 * changed meanwhile are in the log, after the watermark of the image.
 */
import { SLOTS } from "../layout.ts"
import { columnsOf } from "../memory.ts"
import { settleKeys } from "../settle.ts"
import type { Store } from "../store.ts"
import { encodeDescription } from "./description.ts"
import { type GraphImage, graphMemory, packGraph } from "./graph.ts"
import { listsMemory, memoryOf } from "./memory.ts"
import { packRecords } from "./packed-records.ts"
import { packTags } from "./packed-tags.ts"
import { planImage, type Range } from "./ranges.ts"

/** Captures a store while nobody writes to it. */
export const captureStore = async (store: Store) => {
  await settleKeys(store)
  const records = await packRecords(store)
  const tags = await packTags(store)
  const { kernels, shape, directory, keys, lists, codes, columns } = store
  const { rows } = directory
  const graph: GraphImage | undefined =
    store.graph === undefined || rows === 0 ? undefined : packGraph(store.graph, rows)
  const description = encodeDescription(shape, store.measured)
  const segments = [...store.segments]
  const lives = segments.map(({ live }) => new Uint8Array(Int32Array.from(live).buffer))
  const plan = planImage({
    shape,
    rotated: codes.encoder.rotated ?? 0,
    rows,
    keyCapacity: keys.current.length,
    recordsBytes: records.bytes,
    lists: lists?.count ?? 0,
    listBlocks: lists?.blocks ?? 0,
    graph: graph && { m: graph.graph.options.m, upperBytes: graph.upper.length },
    tagsBytes: tags.bytes.length,
    descriptionBytes: description.length
  })
  const addressesOf = (segment: number) => records.addresses.subarray(segment * SLOTS, (segment + 1) * SLOTS)
  const frozen = { segments, columns, codes, keys }
  const { offset: liveFrom } = columnsOf(shape).find(({ name }) => name === "live")!

  /** The bytes of a range that nobody writes to while the store is at rest. */
  const memory = (range: Range): Uint8Array => {
    if (range.section === "graph") return graphMemory(graph!, range)
    if (range.section === "lists") return listsMemory(kernels, lists!.buffers, range)
    return range.section === "tags" ? tags.bytes.subarray(range.from) : memoryOf(frozen, addressesOf, range)
  }
  /** A copy of a block of rows, with the live bits of the moment. */
  const rowsBlock = (range: Range, from: number, block: Uint8Array): Uint8Array => {
    block.set(memoryOf(frozen, addressesOf, range).subarray(from, from + block.length))
    if (range.buffer !== "rows") return block
    const live = lives[range.segment]!
    const at = liveFrom - range.from - from
    const start = Math.max(0, at)
    const end = Math.min(block.length, at + live.length)
    if (start < end) block.set(live.subarray(start - at, end - at), start)
    return block
  }
  const isLater = ({ section }: Range) => section === "segments" || section === "records"
  return {
    plan,
    description,
    graph,
    tagCount: tags.count,
    /** What is to be written before anybody writes to the store again. */
    now: {
      ranges: plan.ranges.filter((range) => !isLater(range)),
      blockOf: (range: Range, from: number, bytes: number) => memory(range).subarray(from, from + bytes)
    },
    /** What is to be written under the claim. */
    later: {
      ranges: plan.ranges.filter(isLater),
      blockOf: (range: Range, from: number, _bytes: number, room: () => Uint8Array) =>
        range.section === "records" ? records.copyNext(room()) : rowsBlock(range, from, room())
    }
  }
}
