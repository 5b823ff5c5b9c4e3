/** The numbers every kernel is written for; `store/layout.ts` builds the format on them. */

/** Slots of a segment. A row is `segment * SLOTS + slot`. */
export const SLOTS = 65_536
/** Slots of a block: one live word, one unit of scanning. */
export const BLOCK = 64
/** Blocks of a segment. */
export const BLOCKS = SLOTS / BLOCK
/** Bits of a code. */
export const CODE_BITS = 256
/** Bytes of a code. */
export const CODE_BYTES = CODE_BITS / 8
/** Bytes of the codes of a block: byte `g` of all 64, for g in 0..32. */
export const CODE_BLOCK_BYTES = BLOCK * CODE_BYTES
/** Where the f16 factors start in a codes buffer, one a slot: after the codes of all blocks. */
export const FACTORS_OFFSET = BLOCKS * CODE_BLOCK_BYTES
/** Where the f16 squared norms start, one a slot, when the metric is l2. */
export const NORMS_OFFSET = FACTORS_OFFSET + SLOTS * 2

/** Where, in the links of a chunk of list blocks, the next block of each starts: after the live words. */
export const NEXT_OFFSET = BLOCKS * 8
/** Where the rows of its slots start. */
export const LISTED_OFFSET = NEXT_OFFSET + BLOCKS * 4
/** Bytes of the links of a chunk. */
export const LINKS_BYTES = LISTED_OFFSET + SLOTS * 4

/** Bytes of a unit of addresses and capacities of records. */
export const RECORD_UNIT = 8
/** Bytes of a record before its key, and the words that they are. */
export const HEADER_BYTES = 16
export const HASH = 0
export const PAYLOAD_BYTES = 1
export const KEY_AND_KIND = 2
export const CAPACITY = 3

/** Most lists of a query whose plan has a margin, relative to what is usual: far from everything, all are equally near. */
export const NPROBE_FACTOR = 4

/** What `SegmentLayout.metric` stands for. */
export const METRIC = { cosine: 0, dot: 1, l2: 2 } as const
/** What `SegmentLayout.precision` stands for. */
export const PRECISION = { f32: 0, f16: 1, int8: 2, none: 3 } as const
/** What `SearchPlan.mode` stands for. */
export const MODE = { exact: 0, flat: 1, binary: 2, ivf: 3, hnsw: 4, pq: 5 } as const
/**
 * What an operation of a filter does with the words on its stack, one bit a slot. Those with a column push the slots
 * that hold one of the constants; `between` takes two, the least and the greatest.
 */
export const FILTER_OP = { nothing: 0, between: 1, in64: 2, in32: 3, in8: 4, not: 5, and: 6, or: 7 } as const
/** Words of an operation. */
export const FILTER_OP_WORDS = 4
