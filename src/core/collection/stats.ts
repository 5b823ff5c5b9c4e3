/** What a collection holds and what its columns cost, to the byte. */
import type { Calibration } from "../calibration.ts"
import type { QueryCacheStats } from "../embed/query-cache.ts"
import { fallback } from "../native.ts"
import type { Graph } from "../store/graph.ts"
import type { Store } from "../store/store.ts"
import type { CollectionShape } from "./options.ts"

export interface HnswStats {
  /** `building` while entries wait to be linked: searches scan those. */
  readonly state: "building" | "complete"
  readonly M: number
  readonly efConstruction: number
  readonly seed: number
  /** Rows in the graph, deleted ones that walks pass through included. */
  readonly linked: number
  /** Entries that are not in it yet. */
  readonly pending: number
}

export interface CollectionStats extends CollectionShape {
  /** Live entries. */
  readonly entries: number
  /** Slots ever used: live, free, and waiting for readers. */
  readonly rows: number
  readonly segments: number
  /** Kind of the encoder in force. */
  readonly encoder: string
  /** Inverted lists in force; 0 for none. */
  readonly lists: number
  /** What searches of this collection were measured to find and cost; undefined until it was measured. */
  readonly calibration: Calibration | undefined
  /**
   * Mean squared error of reconstructed vectors over the variance of vectors, measured on a part of the sample that
   * product codes were not trained on: 0 is perfect. Absent before the training and for other codes.
   */
  readonly distortion: number | undefined
  /** Components of rotated vectors, which product codes are of; undefined where vectors are not rotated. */
  readonly rotated: number | undefined
  /** The instruction set in force. */
  readonly isa: string
  /** Why the kernels in TypeScript are in use, in one line; absent with the native addon. */
  readonly fallback: string | undefined
  /** The graph over the entries; absent while there is none. */
  readonly hnsw: HnswStats | undefined
  /** Vectors of text queries that are remembered; undefined with `queryCache: false`. */
  readonly queryCache: QueryCacheStats | undefined
  /** Bytes by column: in use below the highest row, and set aside. */
  readonly columns: ReturnType<Store["columnBytes"]>
  /**
   * Sums over the columns. What is in no column is not counted: the parameters of the encoder, 1,028 bytes a dimension for
   * codes of 256 bits, the directory, and pads of 64 bytes a buffer that align it, of 2 MiB of address space where the
   * buffer is as large as a huge page.
   */
  readonly bytes: { readonly touched: number; readonly allocated: number }
}

export const collectionStats = (
  store: Store,
  shape: CollectionShape,
  queryCache: QueryCacheStats | undefined
): CollectionStats => {
  const columns = store.columnBytes()
  const sum = (which: "touched" | "allocated") =>
    Object.values(columns).reduce((total, column) => total + column[which], 0)
  return {
    ...shape,
    entries: store.directory.live,
    rows: store.directory.rows,
    segments: store.segments.length,
    encoder: store.codes.encoder.kind,
    lists: store.lists?.count ?? 0,
    calibration: store.measured,
    distortion: store.codes.encoder.training?.distortion,
    rotated: store.codes.encoder.rotated,
    isa: store.kernels.activeIsa(),
    fallback,
    hnsw: store.graph && hnswStats(store.graph, store.directory.live),
    queryCache,
    columns,
    bytes: { touched: sum("touched"), allocated: sum("allocated") }
  }
}

const hnswStats = (graph: Graph, live: number): HnswStats => {
  const { m: M, efConstruction, seed } = graph.options
  const pending = graph.pending(live)
  return { state: pending > 0 ? "building" : "complete", M, efConstruction, seed, linked: graph.linked, pending }
}
