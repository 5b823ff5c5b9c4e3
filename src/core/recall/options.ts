/** What a pool is opened with, with every default. */
import { finite, object, oneOf, wholeNumber } from "../checked.ts"
import type { CollectionOptions, IndexChoice } from "../collection/options.ts"
import { checkedQueryCache, type QueryCacheOptions } from "../embed/query-cache.ts"
import { InvalidConfiguration, InvalidParameter } from "../errors.ts"
import { type FieldTypes, MAX_DIMENSIONS, type Precision } from "../store/layout.ts"
import type { Coherence } from "./coherence/coherence.ts"
import { neighbourhoodCoherence } from "./coherence/neighbourhood.ts"
import type { Encoder } from "./encoder.ts"
import { EVICTIONS, type EvictionName, type EvictionPolicy } from "./eviction/policy.ts"
import { type HybridWeights, type Weights, weightsOf } from "./weights.ts"

export const INDEXES = ["auto", "flat", "hnsw", "ivf"] as const
/** What finds items: `flat` scans all, `hnsw` walks a graph, `ivf` scans lists; `auto` takes what costs least. */
export type RecallIndex = (typeof INDEXES)[number]

export interface RecallOptions {
  /** Name of the collection that the items live in. Default `"recall"`. */
  readonly name?: string | undefined
  /** Components of an embedding, 1..8192. Needed unless an embedder or an encoder fixes it, or the pool is there. */
  readonly dimensions?: number | undefined
  /** Embeds texts; the same each time the pool is opened. */
  readonly embedder?: CollectionOptions["embedder"]
  /**
   * Makes embeddings of tensors, for items and queries that have no other. A pool with items that another one encoded,
   * told by its `id`, is `CollectionMismatch`.
   */
  readonly encoder?: Encoder | undefined
  /** How embeddings are kept: 4, 2 or 1 bytes a component. Default `"f32"`. */
  readonly precision?: Exclude<Precision, "none"> | undefined
  /**
   * Typed columns of the caller's own that retrievals filter by, as for a collection. Default: those of the pool that is
   * there, or none.
   */
  readonly fields?: FieldTypes | undefined
  /** Items at most, 1..2^31, or `Infinity`; one more and another gives way. Default 1000. */
  readonly maxSize?: number | undefined
  /** Bytes that items may take, in MiB. From 90 % on items give way. Default 500. */
  readonly memoryBudgetMb?: number | undefined
  /** Who gives way: `oldest`, `leastUseful`, `leastRecentlyUsed`, `diversity`, or a policy. Default `"oldest"`. */
  readonly eviction?: EvictionName | EvictionPolicy | undefined
  /** Least coherence of what `addIfCoherent` adds, 0..1. Default 0.75. */
  readonly coherenceThreshold?: number | undefined
  /** How coherence is measured. Default: agreement with the pool's neighbourhood. */
  readonly coherence?: Coherence | undefined
  /** Items that a retrieval returns when it does not say, 1..1024. Default 3. */
  readonly retrievalLimit?: number | undefined
  /** Default `"auto"`. */
  readonly index?: RecallIndex | undefined
  /** What hybrid retrieval weighs. Default similarity .65, utility .20, class .10; their sum becomes 1. */
  readonly weights?: HybridWeights | undefined
  /** How much of the bias of its class is added to the utility of an item, 0..1. Default 0.5. */
  readonly biasStrength?: number | undefined
  /** Retrievals that are remembered, or `false` for none. Default 128 embeddings, 8 MiB. */
  readonly queryCache?: QueryCacheOptions | false | undefined
  /** The time in milliseconds. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
}

/** Options with their defaults. */
export interface RecallSettings {
  readonly name: string
  readonly collection: CollectionOptions
  readonly encoder: Encoder | undefined
  readonly maxSize: number
  readonly budgetBytes: number
  readonly eviction: EvictionName | EvictionPolicy
  readonly coherenceThreshold: number
  readonly coherence: Coherence
  readonly retrievalLimit: number
  readonly index: RecallIndex
  readonly weights: Weights
  readonly biasStrength: number
  readonly queryCache: QueryCacheOptions | false
  readonly clock: () => number
}

/**
 * Fields that every item has. `class` is absent where an item has none; `used` is when it was returned to a caller last,
 * or added.
 */
export const OWN_FIELDS = {
  class: "tag",
  utility: "number",
  outcomes: "number",
  added: "timestamp",
  used: "timestamp"
} as const

const KEPT_PRECISIONS = ["f32", "f16", "int8"] as const

const INDEX_OF: Readonly<Record<RecallIndex, IndexChoice>> = { auto: "auto", flat: "none", hnsw: "hnsw", ivf: "ivf" }

const MIB = 2 ** 20
const MAX_SIZE = 2 ** 31
const MAX_RETRIEVED = 1024
/** Bytes of the identity of an encoder, which each item that it encoded has. */
const MAX_ID_BYTES = 1024

/** A number from 0 to 1. */
export const share = (parameter: string, value: unknown): number => {
  const found = finite(parameter, value)
  if (found >= 0 && found <= 1) return found
  throw new InvalidParameter({ parameter, reason: `wanted a number from 0 to 1, got ${found}` })
}

/** Hits of a call. */
export const limitOf = (k: unknown, parameter = "k"): number => wholeNumber(parameter, k, 1, MAX_RETRIEVED)

/** Runs `check` and calls what it refuses a wrong configuration. */
const configured = <A>(check: () => A): A => {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof InvalidParameter)) throw error
    throw new InvalidConfiguration({ parameter: error.parameter, reason: error.reason })
  }
}

/** Options with every default; throws `InvalidConfiguration`. */
export const settingsOf = (options: RecallOptions): RecallSettings => configured(() => settings(options))

const checkEncoder = (encoder: Encoder, dimensions: number | undefined): void => {
  const wrong = (reason: string) => new InvalidParameter({ parameter: "encoder", reason })
  if (typeof encoder?.encode !== "function") throw wrong("it has no function encode")
  const idBytes = typeof encoder.id === "string" ? Buffer.byteLength(encoder.id) : 0
  // What is no text in UTF-8 would come back as another one.
  if (idBytes < 1 || idBytes > MAX_ID_BYTES || !encoder.id.isWellFormed()) {
    throw wrong(`its id must be 1 to ${MAX_ID_BYTES} bytes of UTF-8`)
  }
  if (dimensions !== undefined && dimensions !== encoder.dimensions) {
    throw wrong(`it makes ${encoder.dimensions} components, and the pool is to have ${dimensions}`)
  }
}

const settings = (options: RecallOptions): RecallSettings => {
  const {
    name = "recall",
    maxSize = 1000,
    memoryBudgetMb = 500,
    eviction = "oldest",
    index = "auto"
  } = object("options", options)
  const { coherence = neighbourhoodCoherence(), encoder, fields = {}, queryCache = {}, clock = Date.now } = options
  const { coherenceThreshold = 0.75, retrievalLimit = 3, biasStrength = 0.5 } = options
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  for (const field of Object.keys(OWN_FIELDS)) {
    if (field in object("fields", fields)) throw wrong(`fields.${field}`, "the pool has a field of this name")
  }
  if (maxSize !== Number.POSITIVE_INFINITY) wholeNumber("maxSize", maxSize, 1, MAX_SIZE)
  const budgetBytes = Math.floor(finite("memoryBudgetMb", memoryBudgetMb) * MIB)
  if (budgetBytes < 1) throw wrong("memoryBudgetMb", "wanted a byte at least")
  // Coherence, diversity and copies of items all read embeddings.
  const { precision } = options
  if (precision !== undefined) oneOf("precision", precision, KEPT_PRECISIONS)
  if (typeof clock !== "function") throw wrong("clock", "wanted a function")
  if (typeof coherence?.measure !== "function") throw wrong("coherence", "it has no function measure")
  if (typeof coherence.id !== "string") throw wrong("coherence", "its id must be a text")
  if (encoder !== undefined) checkEncoder(encoder, options.dimensions)
  if (typeof eviction !== "object") oneOf("eviction", eviction, EVICTIONS)
  else if (typeof eviction?.victims !== "function") throw wrong("eviction", "it has no function victims")
  const { dimensions = encoder?.dimensions } = options
  if (dimensions !== undefined) wholeNumber("dimensions", dimensions, 1, MAX_DIMENSIONS)
  return {
    name,
    collection: {
      dimensions,
      metric: "cosine",
      precision,
      embedder: options.embedder,
      index: INDEX_OF[oneOf("index", index, INDEXES)],
      fields: { ...OWN_FIELDS, ...fields }
    },
    encoder,
    maxSize,
    budgetBytes,
    eviction,
    coherenceThreshold: share("coherenceThreshold", coherenceThreshold),
    coherence,
    retrievalLimit: limitOf(retrievalLimit, "retrievalLimit"),
    index,
    weights: weightsOf(options.weights),
    biasStrength: share("biasStrength", biasStrength),
    queryCache: queryCache === false ? false : checkedQueryCache(queryCache),
    clock
  }
}
