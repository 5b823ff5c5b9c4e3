/**
 * What the native addon and the scalar kernels both do.
 *
 * Every argument is a number or a flat typed array, one call a batch. Views on shared memory
 * may be written by another thread during a call; the callee tolerates that as ARCHITECTURE.md,
 * "Concurrency contract", says. `native/src/plan.rs` mirrors the plans field by field.
 */

/** Where the columns of a segment lie, in bytes from the 64-byte aligned start of its views. */
export interface SegmentLayout {
  /** Components of a vector, 1..8192. */
  readonly dimensions: number
  /** 0 cosine, 1 dot, 2 l2. */
  readonly metric: number
  /** 0 f32, 1 f16, 2 int8, 3 none. */
  readonly precision: number
  /** Live bits: one u64 a block of 64 slots. */
  readonly liveOffset: number
  /** Slot generations: u16 a slot, odd while the slot is being written. */
  readonly generationOffset: number
  /** f32 a slot: the step of an int8 vector. 0 when `precision` is not int8. */
  readonly scalesOffset: number
  /** Vectors, row-major without padding. 0 when `precision` is none. */
  readonly vectorsOffset: number
  /** Power of two that f16 factors and norms, and what a codebook is of, are divided by. */
  readonly factorScale: number
  /** Subspaces of product codes; 0 where codes are 256 signs. */
  readonly subspaces: number
  /** Bits of the number of a centroid, 4 or 8; 0 where codes are signs. */
  readonly subspaceBits: number
  /** Components of a rotated vector, which product codes are of; 0 where they are of vectors as they are. */
  readonly rotated: number
}

/** One search over consecutive blocks, after every default and bound has been applied. */
export interface SearchPlan extends SegmentLayout {
  /** 0 exact, 1 flat, 2 binary, 3 ivf, 4 hnsw, 5 pq. */
  readonly mode: number
  /** Hits to return for each query, best first. */
  readonly keep: number
  /**
   * Nearest rows that are looked for: a search over lists visits them until it has found so many. Absent for `keep`, or
   * `fetch` where that is more.
   */
  readonly wanted?: number | undefined
  /** Candidates of the first stage scored again with stored vectors, or with unrounded tables of pq; 0 for none. */
  readonly rerank: number
  /**
   * Most candidates scored again: beyond `rerank` those that may be nearer than the last hit, given how far the estimates
   * of the first were off. Absent for none of them.
   */
  readonly deepest?: number | undefined
  /** Most lists that a query of mode ivf visits. */
  readonly nprobe: number
  /**
   * Lists whose rank is farther below that of the best are left out, so that a query near a centroid visits few and one
   * between many visits more; for dot times the length of the query's projection. Absent for none left out.
   */
  readonly margin?: number | undefined
  /** First block to scan, counted over the segments passed. */
  readonly fromBlock: number
  /** Block to stop before. */
  readonly toBlock: number
  /** Index in `control` of the word that cancels the search when it becomes non-zero. */
  readonly cancel: number
  /** Least final score of a hit; absent for none. */
  readonly minScore?: number | undefined
  /** What first-stage scores must exceed: a scan that begins with it passes by nearly all rows. Absent for nothing. */
  readonly seed?: number | undefined
  /** Best candidates that diverse hits are chosen from, by stored vectors; absent for hits by score alone. */
  readonly fetch?: number | undefined
  /** Weight of relevance against diversity, 0..1. */
  readonly lambda?: number | undefined
  /** Whether diversity is approximated: `native/src/search/diversity.rs`. */
  readonly fast?: boolean | undefined
  /** Nearest rows that a walk over the graph keeps; absent for other modes than hnsw. */
  readonly efSearch?: number | undefined
}

/**
 * Inverted lists: copies of the codes of all rows, grouped by the centroid nearest to each. A list is a chain of
 * blocks, each as a block of a segment with the row of every slot beside it.
 */
export interface ListColumns {
  /** Centroids in the coordinates of the codes, `components x lists`: column `l` is the centroid of list `l`. */
  readonly centroids: Float32Array
  /** Added to the product of a query with each centroid when lists are ranked. */
  readonly biases: Float32Array
  /**
   * What many lists are ranked by in two levels, as `shortlist.ts` lays it out: codes and int8 copies of the centroids.
   * Absent where all are ranked by their centroids.
   */
  readonly shortlist?: Uint8Array | undefined
  /** First block of each list plus one, 0 for none. */
  readonly heads: Uint32Array
  /** Codes of 1,024 blocks each, as the code column of a segment. */
  readonly codes: ReadonlyArray<Uint8Array>
  /**
   * For the same blocks: live words (u64 a block), the block that follows each in its list plus one (u32 a block),
   * and the row of every slot (u32 a slot).
   */
  readonly links: ReadonlyArray<Uint8Array>
}

/** Where the columns of a graph lie in the buffer that it has for each segment, in bytes from its aligned start. */
export interface GraphLayout {
  /** Links of a node above the lowest level, 4..64; it has twice as many there. */
  readonly m: number
  /** Bits of the slots that are linked: one u64 a block. */
  readonly linkedOffset: number
  /** u32 a slot: the level of the node, and the bit that its writer holds. */
  readonly nodesOffset: number
  /** u32 a slot: where its upper links start, in words. */
  readonly placesOffset: number
  /** Two f32 a slot: what the product of copies is multiplied by, and what is subtracted. */
  readonly termsOffset: number
  /** `2 m` u32 a slot: rows plus one, then zeros. */
  readonly linksOffset: number
  /** int8 copies of the vectors, less the mean. 0 when the store's own vectors are int8: they are walked by. */
  readonly copiesOffset: number
  /** `m` u32 for each level of each node, to the end of the buffer. */
  readonly upperOffset: number
}

/** A graph over the rows of a store. */
export interface GraphColumns {
  readonly layout: GraphLayout
  /** Row plus one and level of the entry, as one u64; rows that are linked; those of them that are not live. */
  readonly words: Uint32Array
  /** What is subtracted from vectors before they are copied. */
  readonly mean: Float32Array
  /** The buffer of each segment: at most as many as the store has. */
  readonly segments: ReadonlyArray<Uint8Array>
}

/** What a search reads: the columns of every segment, under one encoder. */
export interface SearchColumns {
  /** The rows buffer of each segment. */
  readonly rows: ReadonlyArray<Uint8Array>
  /**
   * The codes buffer of each segment: codes of all its blocks and, beside signs, their factors and, for l2, norms.
   */
  readonly codes: ReadonlyArray<Uint8Array>
  /** Mean (d), then projection (d x 256); with product codes the parameters that `pq.ts` describes. */
  readonly encoder: Float32Array
  /** Needed by mode ivf. */
  readonly lists?: ListColumns | undefined
  /** Needed by mode hnsw. */
  readonly graph?: GraphColumns | undefined
}

/**
 * Which rows may be found: a program over typed columns of the rows buffer that leaves one bit a slot. Columns are
 * f64 (a number, or NaN for none), u32 (a dictionary code, or 0) or u8.
 */
export interface Filter {
  /**
   * Operations in postfix order, four words each: what it does (`FILTER_OP`), byte offset of its column, first of its
   * constants and their number.
   */
  readonly ops: Uint32Array
  readonly constants: Float64Array
  /**
   * Two halves of a word a block: live rows that passed. A search takes it as it is when it is filled, else it fills
   * in the blocks of its plan. What it says may be out of date: each hit is asked again.
   */
  readonly mask?: Uint32Array
  readonly isFilled?: boolean
}

/** Where a search writes: `queries * keep` elements each, `counts` one a query. */
export interface Hits {
  /** `segment * 65536 + slot`, counted over the segments passed. */
  readonly rows: Uint32Array
  /** Generation of each row when it was scored: even. */
  readonly generations: Uint16Array
  /** Final scores, higher is nearer. */
  readonly scores: Float32Array
  /** First-stage scores: what a merge of shards selects the reranked candidates by. */
  readonly estimates: Float32Array
  /** Hits written for each query, at most `keep`. */
  readonly counts: Uint32Array
}

export interface Kernels {
  /** Instruction sets of this machine, best first; `["scalar"]` without the addon. */
  isas(): Array<string>
  /** The instruction set in force. */
  activeIsa(): string
  /** Puts an instruction set in force for the whole process; refuses (`code: "Isa"`) what the machine lacks. */
  useIsa(name: string): void
  /** Bytes to skip so that `view` starts on a multiple of `alignment`, a power of two: fewer than that. */
  alignmentPad(view: Uint8Array, alignment: number): number
  /**
   * Looks at slots `[from, to)` of a segment of which the first `rows` are in use: the first that is live and has no
   * record that fits into `packed`, or has one and is not live, or -1.
   */
  checkRows(
    live: Int32Array,
    addresses: Uint32Array,
    packed: Uint32Array,
    rows: number,
    from: number,
    to: number
  ): number
  /** Keys in slots `[from, to)` of the index of `rows` rows; -1 when one names none of them. */
  countKeys(keys: Uint32Array, rows: number, from: number, to: number): number
  /** CRC-32C (Castagnoli, RFC 3720 B.4) of `view`. */
  crc32c(view: Uint8Array): number
  /** CRC-32C of each `blockBytes` of `view`, the last one shorter, into `out`. */
  crc32cBlocks(view: Uint8Array, blockBytes: number, out: Uint32Array): void
  /**
   * Compares those checksums with `expected`; the first block that differs, or -1. Off the calling thread where the
   * memory is shared: other memory can be gone before a thread has its turn, so it is read at once.
   */
  verifyBlocks(view: Uint8Array, blockBytes: number, expected: Uint32Array): Promise<number>
  /**
   * `c[m x n] = a[m x k] b[k x n]`, row-major f32. Each element is summed over k in order with
   * every product and sum rounded to f32 (no FMA), so the bits are the same everywhere.
   */
  matmul(a: Float32Array, b: Float32Array, c: Float32Array, m: number, k: number, n: number): void
  /**
   * Writes what the spectrum of a tensor of `rows x columns x layers x channels` says of it into `out`: entropy over that
   * of a flat spectrum, three dominant frequencies in cycles a cell, shares of the power in three radial bands, mean
   * power. The same everywhere within 1e-5.
   */
  spectralFeatures(
    data: Float32Array,
    rows: number,
    columns: number,
    layers: number,
    channels: number,
    out: Float32Array
  ): void
  /**
   * -1 when every vector is finite, not zero and within `limit` in magnitude, else
   * `row * 8 + reason` of the first that is not: 1 zero, 2 NaN, 3 infinite, 4 beyond `limit`.
   */
  checkVectors(vectors: Float32Array, dimensions: number, limit: number): number
  /**
   * Writes `slots.length` vectors into slots of one segment: the vector column at its precision
   * and the codes buffer under `encoder`. Each slot's generation is odd while it is written; live
   * bits are not touched. `encoder` is that of `SearchColumns`.
   */
  writeRows(
    layout: SegmentLayout,
    vectors: Float32Array,
    slots: Uint32Array,
    encoder: Float32Array,
    rows: Uint8Array,
    codes: Uint8Array
  ): void
  /** Encodes stored vectors of slots `[from, to)` of one segment into another codes buffer. */
  encodeStored(
    layout: SegmentLayout,
    from: number,
    to: number,
    encoder: Float32Array,
    rows: Uint8Array,
    codes: Uint8Array
  ): void
  /**
   * The list of each of `slots` of one segment, found by its code: the largest of `<c, r> - halfNorms[l]` over the
   * centroids `c` (`components x lists`), where `r` is what the code stands for: signs and the factor as their magnitude,
   * of 256 components, or the centroids of its subspaces. The squared distance, less what no list changes. The first of
   * equals.
   */
  assignLists(
    layout: SegmentLayout,
    slots: Uint32Array,
    encoder: Float32Array,
    codes: Uint8Array,
    centroids: Float32Array,
    halfNorms: Float32Array,
    out: Uint32Array
  ): void
  /** Copies stored vectors of `slots` of one segment into `out` as f32. */
  readVectors(layout: SegmentLayout, slots: Uint32Array, rows: Uint8Array, out: Float32Array): void
  /**
   * Searches the blocks of the plan for every query of `queries` (`count x dimensions`), among the rows that pass
   * `filter`. 0 when done, 1 when cancelled.
   */
  search(
    plan: SearchPlan,
    columns: SearchColumns,
    queries: Float32Array,
    control: Int32Array,
    hits: Hits,
    filter?: Filter
  ): number
  /**
   * Writes the live rows that pass `filter` into `words`, two for each block of 64, as many blocks as there are words,
   * and returns how many they are.
   */
  filterRows(liveOffset: number, rows: ReadonlyArray<Uint8Array>, filter: Filter, words: Uint32Array): number
  /** Reads every byte once and returns a digest: the memory limit that benches compare with. */
  streamBytes(view: Uint8Array): number
  /** Asks the kernel to back the memory with huge pages, where the system can. */
  adviseHugePages(view: Uint8Array): void
  /** Gives memory back to the system, where it takes it: what `view` holds is lost, and may read as zeros. */
  releasePages(view: Uint8Array): void
  /** What builds graphs: absent without the addon, which then no store has one for. */
  readonly graph?: GraphKernels | undefined
}

/** A graph is changed by any number of threads, and searched meanwhile; calls on the same rows must not overlap. */
interface GraphKernels {
  /** Upper links that the rows of segment number `segment` have room for: levels follow from seed and row. */
  upperLinks(m: number, seed: number, segment: number): number
  /** Writes the node words and places of a new segment; the rest of its buffer is zero. */
  prepare(layout: GraphLayout, seed: number, segment: number, part: Uint8Array): void
  /**
   * Links those of `rows` that are live and not linked, in order. The caller holds a claim: what is live stays as it
   * is. Returns how many rows were dealt with: fewer when `control[cancel]` became non-zero.
   */
  insert(
    layout: SegmentLayout,
    columns: SearchColumns,
    rows: Uint32Array,
    efConstruction: number,
    control: Int32Array,
    cancel: number
  ): number
  /**
   * Replaces the links of live rows in `[from, to)` to rows that are not live. Returns the row to go on from: `to`,
   * or less when cancelled.
   */
  repair(
    layout: SegmentLayout,
    columns: SearchColumns,
    from: number,
    to: number,
    efConstruction: number,
    control: Int32Array,
    cancel: number
  ): number
  /**
   * Copies the vectors of the slots of a segment that `linked` has a bit for, and marks them: their links came from an
   * image. No row may be written meanwhile.
   */
  copy(layout: SegmentLayout, columns: SearchColumns, segment: number, linked: Uint8Array): void
}
