/** What a collection is: options with their defaults, fixed when it is made. */
import { object, oneOf, wholeNumber } from "../checked.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import type { QueryCacheOptions } from "../embed/query-cache.ts"
import { type EmbedderSource, openEmbedder } from "../embed/source.ts"
import { CollectionMismatch, DimensionMismatch, InvalidParameter } from "../errors.ts"
import { PUBLISHED_SEED } from "../index/projection.ts"
import { MAX_ROTATED_DIMENSIONS } from "../index/rotation.ts"
import type { GraphOptions } from "../store/graph-columns.ts"
import { MAX_EMBEDDER_BYTES } from "../store/image/header.ts"
import {
  type FieldTypes,
  MAX_DIMENSIONS,
  METRICS,
  type Metric,
  type PqShape,
  PRECISIONS,
  type Precision,
  ROTATIONS,
  type Rotation
} from "../store/layout.ts"
import { MAX_LISTS } from "../store/list-columns.ts"
import type { StoreShape } from "../store/memory.ts"
import { checkedTypes, typesText } from "./fields.ts"

const SIGN_CODES = ["trained", "published"] as const

/**
 * How vectors become codes: 256 signs, or the numbers of centroids.
 *
 * - `trained`: a seeded random orthogonal projection until 2,048 rows are there, then PCA and ITQ
 *   (Gong and Lazebnik, CVPR 2011) learned from them. A collection without vectors
 *   (`precision: "none"`) keeps the projection.
 * - `published`: the projection of the published binary semantic cache, bit for bit
 *   (`numpy.random.default_rng(42).standard_normal((dimensions, 256), float32)`).
 * - `pq`: product quantisation, `m` bytes a row with 8 bits and `m / 2` with 4. Codebooks are trained when 2,048
 *   rows are there, until which searches score every vector, and once more when there are enough for a full
 *   sample; a collection without vectors is trained by `train` before the first `add`.
 */
export type Codes = (typeof SIGN_CODES)[number] | { readonly pq: PqShape }

/** `pq` as it is asked for. */
export interface PqOptions {
  /** Subspaces, 4 to half the dimensions, of equal width or one apart; even with 4 bits. */
  readonly m: number
  /** Bits of the number of a centroid: 8 for 256 centroids a subspace, or 4 for 16. Default 8. */
  readonly bits?: 4 | 8 | undefined
  /**
   * What vectors are rotated by before they are cut into subspaces, learned from the sample: `none`; `pca`, principal
   * components dealt out to the subspaces, of which the last are left out where codes have no bits for them; `opq`,
   * the same turned further until codes lose least, which takes several times as long to train; or `auto`, `pca` where it
   * loses less than `none` of rows held out. Up to 2,048 dimensions: beyond, `auto` is `none`, the others are refused.
   * Of 384 dimensions it takes less than a second to learn, of 1,536 some ten seconds.
   * Default `auto`; a collection that is opened again goes on with its own.
   */
  readonly rotation?: Rotation | undefined
}

/** A graph (HNSW, Malkov and Yashunin, arXiv 1603.09320) as it is asked for. */
export interface HnswOptions {
  /** Links of an entry in the upper levels, 4..64, and half of those in the lowest. Default 16. */
  readonly M?: number | undefined
  /** Candidates that the neighbours of an entry are selected from, 1..4096. Default 200. */
  readonly efConstruction?: number | undefined
  /** Seed of the levels, a whole number from 0 to 2^32 - 1. Default 42. */
  readonly seed?: number | undefined
}

/**
 * What speeds up searches of many entries.
 *
 * - `auto`: inverted lists from 32,768 entries on, where vectors are stored.
 * - `ivf`: inverted lists from 2,048 entries on; `lists` is their number, 1..65,536, by default a power of two near the
 *   square root of the number of entries, of signs or of product codes. As the data drifts, lists are split and merged
 *   around that number.
 * - `hnsw`: a graph for mode `hnsw`, from 4,096 entries on. It needs stored vectors, codes of signs and the native addon: without
 *   the addon nothing is built. `auto` goes on with a graph that was saved.
 * - `none`: every search scans all entries.
 */
export type IndexChoice =
  | "auto"
  | "none"
  | "ivf"
  | "hnsw"
  | { readonly ivf?: { readonly lists?: number | undefined } | undefined; readonly hnsw?: HnswOptions | undefined }

const INDEXES = ["auto", "none", "ivf", "hnsw"] as const

/** The choice of an index, checked; throws `InvalidParameter`. */
export const indexOf = ({ index = "auto" }: CollectionOptions): IndexChoice => {
  if (typeof index !== "object" || index === null) return oneOf("index", index, INDEXES)
  const { ivf, hnsw } = index
  if (ivf === undefined && hnsw === undefined) {
    throw new InvalidParameter({ parameter: "index", reason: "wanted ivf, hnsw or both" })
  }
  const lists = ivf && object("index.ivf", ivf).lists
  if (lists !== undefined) wholeNumber("index.ivf.lists", lists, 1, MAX_LISTS)
  return { ivf: ivf && { lists }, hnsw: hnsw && graphOptions(hnsw) }
}

/** Fails where an index is asked for that the codes cannot have. */
export const checkIndex = (index: IndexChoice, { codes }: CollectionShape): void => {
  const asksForGraph = index === "hnsw" || (typeof index === "object" && index.hnsw !== undefined)
  if (typeof codes === "string" || !asksForGraph) return
  throw new InvalidParameter({ parameter: "index", reason: "graphs go with 256 signs: the codes are pq" })
}

export interface CollectionOptions {
  /** Components of a vector, 1..8192. Needed unless an embedder fixes it. */
  readonly dimensions?: number | undefined
  /** Default `"cosine"`. Scores are cosine similarity, inner product, or minus the squared distance. */
  readonly metric?: Metric | undefined
  /**
   * How vectors are kept, default `"f32"`: 4, 2 or 1 bytes a component, or `"none"` to keep codes
   * only. With `cosine` they are kept at length 1.
   */
  readonly precision?: Precision | undefined
  /**
   * Encodes texts: an embedder, a function of yours, or a model of the AI SDK or LangChain. It must be the same each
   * time the collection is opened. One that does not say its dimension is asked to embed a word when the collection is
   * made, unless `dimensions` are given.
   */
  readonly embedder?: EmbedderSource | undefined
  /**
   * How many vectors of text queries are remembered while the collection is open, or false for none. By default 128
   * of 8 MiB together, but none of embedders that take some microseconds (`quick`), as those of words and letters do.
   */
  readonly queryCache?: QueryCacheOptions | false | undefined
  /** Default `"trained"`. */
  readonly codes?: (typeof SIGN_CODES)[number] | { readonly pq: PqOptions } | undefined
  /** Default `"auto"`. What was built is saved with the collection; the choice is made anew whenever it is opened. */
  readonly index?: IndexChoice | undefined
  /** Seed of the projection and the training, a whole number from 0 to 2^32 - 1. Default 42; `published` has no other. */
  readonly seed?: number | undefined
  /**
   * Typed columns that searches filter by, up to 32: `{ lang: "tag", year: "number", draft: "boolean", at: "timestamp" }`.
   * A name is a letter, then up to 63 letters, digits and underscores; not `and`, `or` or `not`. Default: none.
   */
  readonly fields?: FieldTypes | undefined
}

/** What is stored of the options. */
export interface CollectionShape {
  readonly dimensions: number
  readonly metric: Metric
  readonly precision: Precision
  readonly codes: Codes
  readonly seed: number
  /** Identity of the embedder; empty when vectors come from the caller. */
  readonly embedder: string
  /** Absent for none. */
  readonly fields?: FieldTypes
}

/** Options whose embedder has been recognised. */
export interface OpenOptions extends Omit<CollectionOptions, "embedder"> {
  readonly embedder?: OpenEmbedder | undefined
}

/** The embedder of `options`, checked: its id is stored, its dimension fixes the collection's. */
export const opened = (
  source: EmbedderSource | undefined,
  dimensions: number | undefined
): OpenEmbedder | undefined => {
  if (source === undefined) return undefined
  const embedder = openEmbedder(source, { dimensions })
  const { id } = embedder
  const idBytes = typeof id === "string" ? Buffer.byteLength(id) : 0
  if (idBytes < 1 || idBytes > MAX_EMBEDDER_BYTES) {
    const reason = `its id must be 1 to ${MAX_EMBEDDER_BYTES} bytes of text`
    throw new InvalidParameter({ parameter: "embedder", reason })
  }
  if (embedder.dimensions !== undefined) wholeNumber("embedder.dimensions", embedder.dimensions, 1, MAX_DIMENSIONS)
  return embedder
}

/** Options of a new collection with every default; throws `InvalidParameter` or `DimensionMismatch`. */
export const shapeOf = (options: OpenOptions): CollectionShape => {
  const { embedder, dimensions = embedder?.dimensions } = options
  if (dimensions === undefined) {
    throw new InvalidParameter({ parameter: "dimensions", reason: "needed, unless an embedder fixes it" })
  }
  wholeNumber("dimensions", dimensions, 1, MAX_DIMENSIONS)
  const expected = embedder?.dimensions ?? dimensions
  if (expected !== dimensions) {
    throw new DimensionMismatch({ expected, got: dimensions })
  }
  const codes = checkedCodes(options.codes ?? "trained", dimensions)
  const seed = wholeNumber("seed", options.seed ?? PUBLISHED_SEED, 0, 2 ** 32 - 1)
  if (codes === "published" && seed !== PUBLISHED_SEED) {
    throw new InvalidParameter({ parameter: "seed", reason: `the published codes have seed ${PUBLISHED_SEED}` })
  }
  const fields = checkedTypes(options.fields)
  return {
    dimensions,
    metric: oneOf("metric", options.metric ?? "cosine", METRICS),
    precision: oneOf("precision", options.precision ?? "f32", PRECISIONS),
    codes,
    seed,
    embedder: embedder?.id ?? "",
    ...(fields && { fields })
  }
}

const LEAST_SUBSPACES = 4

const checkedCodes = (codes: NonNullable<CollectionOptions["codes"]>, dimensions: number): Codes => {
  if (typeof codes !== "object" || codes === null) return oneOf("codes", codes, SIGN_CODES)
  const { m, bits = 8, rotation: asked = "auto" } = object("codes.pq", codes.pq)
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (bits !== 4 && bits !== 8) throw wrong("codes.pq.bits", `wanted 4 or 8, got ${bits}`)
  const most = Math.floor(dimensions / 2)
  if (most < LEAST_SUBSPACES) throw wrong("codes.pq", `needs ${2 * LEAST_SUBSPACES} dimensions or more`)
  wholeNumber("codes.pq.m", m, LEAST_SUBSPACES, most)
  if (bits === 4 && m % 2 !== 0) throw wrong("codes.pq.m", `must be even with 4 bits, got ${m}`)
  const rotation = oneOf("codes.pq.rotation", asked, ROTATIONS)
  if (dimensions > MAX_ROTATED_DIMENSIONS && (rotation === "pca" || rotation === "opq")) {
    throw wrong("codes.pq.rotation", `${rotation} takes up to ${MAX_ROTATED_DIMENSIONS} dimensions`)
  }
  return { pq: { m, bits, ...(rotation !== "none" && { rotation }) } }
}

/** Codes in a few words. */
const codesName = (codes: Codes): string => {
  if (typeof codes === "string") return codes
  const { m, bits, rotation } = codes.pq
  return `pq ${m} x ${bits}${rotation === undefined ? "" : ` after ${rotation}`}`
}

/** The codes that are asked for of a collection that has others: without a rotation any will do. */
const askedCodes = (codes: NonNullable<CollectionOptions["codes"]>, { codes: has, dimensions }: CollectionShape) => {
  const asked = checkedCodes(codes, dimensions)
  const isOpen = typeof codes === "object" && codes.pq.rotation === undefined
  if (!isOpen || typeof asked === "string" || typeof has === "string") return asked
  return { pq: { m: asked.pq.m, bits: asked.pq.bits, ...(has.pq.rotation && { rotation: has.pq.rotation }) } }
}

/** What a store keeps of a collection's shape. */
export const storeShape = ({ dimensions, metric, precision, codes, fields }: CollectionShape): StoreShape => ({
  dimensions,
  metric,
  precision,
  ...(typeof codes === "object" && { pq: codes.pq }),
  ...(fields && { fields })
})

/** Checks the options a collection is opened with against what it is; absent ones ask for nothing. */
export const checkShape = (collection: string, stored: CollectionShape, options: OpenOptions): void => {
  const wanted: Partial<Record<keyof CollectionShape, string | number | undefined>> = {
    dimensions: options.dimensions ?? options.embedder?.dimensions,
    metric: options.metric,
    precision: options.precision,
    codes: options.codes && codesName(askedCodes(options.codes, stored)),
    seed: options.seed,
    embedder: options.embedder?.id,
    fields: options.fields && typesText(checkedTypes(options.fields))
  }
  const has = { ...stored, codes: codesName(stored.codes), fields: typesText(stored.fields) }
  for (const [field, got] of Object.entries(wanted)) {
    const expected = has[field as keyof CollectionShape]
    if (got !== undefined && got !== expected) {
      throw new CollectionMismatch({ collection, field, expected: String(expected), got: String(got) })
    }
  }
}

const MAX_EF_CONSTRUCTION = 4096

/** A graph with every default; throws `InvalidParameter`. */
const graphOptions = (options: HnswOptions): { [K in keyof HnswOptions]-?: number } => {
  const { M, efConstruction, seed } = object("index.hnsw", options)
  return {
    M: wholeNumber("index.hnsw.M", M ?? 16, 4, 64),
    efConstruction: wholeNumber("index.hnsw.efConstruction", efConstruction ?? 200, 1, MAX_EF_CONSTRUCTION),
    seed: wholeNumber("index.hnsw.seed", seed ?? PUBLISHED_SEED, 0, 2 ** 32 - 1)
  }
}

/** The graph that a checked choice asks for; `auto` goes on with the one that was saved. */
export const wantedGraph = (
  index: IndexChoice,
  { precision }: StoreShape,
  saved: GraphOptions | undefined
): GraphOptions | undefined => {
  if (index === "auto") return saved
  const wanted = index === "hnsw" ? {} : typeof index === "object" ? index.hnsw : undefined
  if (wanted === undefined) return undefined
  if (precision === "none") {
    throw new InvalidParameter({ parameter: "index", reason: "hnsw needs stored vectors: the precision is none" })
  }
  const { M: m, efConstruction, seed } = graphOptions(wanted)
  return { m, efConstruction, seed }
}
