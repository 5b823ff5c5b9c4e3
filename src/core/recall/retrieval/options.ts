/** What the retrievals that choose among candidates may be asked. */
import { finite, object, oneOf, wholeNumber } from "../../checked.ts"
import { InvalidParameter } from "../../errors.ts"
import type { Filter } from "../../search/filter/filter.ts"
import { parseFilter } from "../../search/filter/parse.ts"
import { MAX_FETCH } from "../../search/options.ts"
import type { FieldTypes } from "../../store/layout.ts"
import { INDEXES, limitOf, share } from "../options.ts"
import { type HybridWeights, type Weights, weightsOf } from "../weights.ts"
import type { RecallQuery, SimilarOptions } from "./recalled.ts"

export interface ByClassOptions extends SimilarOptions {
  /** Ranks by similarity to this. Default: by utility. */
  readonly query?: RecallQuery | undefined
}

export interface BalancedOptions extends Omit<SimilarOptions, "k"> {
  /** Items of each class, 1..1024. Default: the pool's `retrievalLimit`. */
  readonly perClass?: number | undefined
  /** Classes. Default: all there are. */
  readonly classes?: ReadonlyArray<string> | undefined
}

export interface DiverseOptions extends SimilarOptions {
  /** Weight of similarity to the query against unlikeness to what was chosen before, 0..1. Default 0.7. */
  readonly lambda?: number | undefined
  /** Nearest items that are chosen from, k..1024. Default `max(50, 4 k)`. */
  readonly candidates?: number | undefined
  /**
   * Chooses items of nearly the same worth in less time: from those that are near enough to the query to be chosen, by
   * copies of one byte a component, and beyond 128 items compared with a part of those before. The exact choice is made where that is
   * not worth as much: with a lambda under 0.7 (0.8 for more than 64), of up to 64 candidates, and of fewer than four for
   * each. Default false.
   */
  readonly fast?: boolean | undefined
  /** Stops before the mean distance of the pairs, one less their cosine, falls under this, 0..2. Default 0: never. */
  readonly minDispersion?: number | undefined
}

export interface HybridOptions extends SimilarOptions {
  /** Class that items are to agree with. Default: none, and all agree. */
  readonly class?: string | undefined
  /** Default: the pool's. */
  readonly weights?: HybridWeights | undefined
  /** Relevance falls with `exp(-decay * hours since the item was added)`. 0 or more, default 0.02. */
  readonly decay?: number | undefined
  /** Weight of relevance against unlikeness to what was chosen before, 0..1. Default 0.7; 1 for relevance alone. */
  readonly lambda?: number | undefined
  /** Nearest items that are ranked, k..1024. Default `max(50, 4 k)`. */
  readonly candidates?: number | undefined
}

const USUAL_LAMBDA = 0.7
const USUAL_DECAY = 0.02
/** Distance of embeddings that point away from one another. */
const MOST_DISPERSION = 2
/** Candidates at least, and by items wanted. */
const LEAST_CANDIDATES = 50
const CANDIDATES_AN_ITEM = 4

const candidatesOf = (candidates: number | undefined, k: number): number =>
  candidates === undefined
    ? Math.min(MAX_FETCH, Math.max(LEAST_CANDIDATES, CANDIDATES_AN_ITEM * k))
    : wholeNumber("candidates", candidates, k, MAX_FETCH)

const atLeastZero = (parameter: string, value: number): number => {
  if (finite(parameter, value) >= 0) return value
  throw new InvalidParameter({ parameter, reason: `wanted 0 or more, got ${value}` })
}

const between = (parameter: string, value: number, least: number, most: number): number => {
  if (finite(parameter, value) >= least && value <= most) return value
  throw new InvalidParameter({ parameter, reason: `wanted a number from ${least} to ${most}, got ${value}` })
}

/** A filter as it is now, checked: its caller may change it before the retrieval is done. */
const ownFilter = (filter: Filter, fields: FieldTypes): Filter => {
  parseFilter(filter, fields)
  return copied(filter)
}

const copied = <V>(value: V): V => {
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Date) return new Date(value) as V
  if (Array.isArray(value)) return value.map(copied) as V
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copied(part)])) as V
}

/** A limit and the part of the options that the index sees; throws `InvalidParameter`. */
export const similarOf = (options: SimilarOptions, usualLimit: number, fields: FieldTypes) => {
  const { k = usualLimit, filter, minSimilarity, index } = object("options", options)
  if (minSimilarity !== undefined) between("minSimilarity", minSimilarity, -1, 1)
  return {
    k: limitOf(k),
    filter: filter === undefined ? undefined : ownFilter(filter, fields),
    minSimilarity,
    index: index === undefined ? undefined : oneOf("index", index, INDEXES)
  }
}

export const diverseOf = (options: DiverseOptions, usualLimit: number, fields: FieldTypes) => {
  const wanted = similarOf(options, usualLimit, fields)
  const { lambda = USUAL_LAMBDA, candidates, fast = false, minDispersion = 0 } = options
  if (typeof fast !== "boolean") throw new InvalidParameter({ parameter: "fast", reason: "wanted true or false" })
  const fetchK = candidatesOf(candidates, wanted.k)
  return {
    wanted: { ...wanted, mmr: { lambda: share("lambda", lambda), fetchK, fast } },
    lambda,
    minDispersion: between("minDispersion", minDispersion, 0, MOST_DISPERSION)
  }
}

export const hybridOf = (options: HybridOptions, usualLimit: number, fields: FieldTypes, usual: Weights) => {
  const { k, ...wanted } = similarOf(options, usualLimit, fields)
  const { class: label, weights, decay = USUAL_DECAY, lambda = USUAL_LAMBDA, candidates } = options
  return {
    k,
    wanted: { ...wanted, k: candidatesOf(candidates, k), isRough: true },
    label: label === undefined ? undefined : labelOf(label),
    weights: weights === undefined ? usual : weightsOf(weights),
    decay: atLeastZero("decay", decay),
    lambda: share("lambda", lambda)
  }
}

export const labelOf = (label: unknown): string => {
  if (typeof label === "string" && label !== "") return label
  throw new InvalidParameter({ parameter: "class", reason: "wanted the label of a class" })
}

/** A filter that also asks for a class. */
export const ofClass = (label: string, filter: Filter | undefined): Filter =>
  filter === undefined ? { class: label } : { and: [{ class: label }, filter] }

/** All that the result of a retrieval depends on beside its embedding, as text: options that were checked, and no others. */
export const optionsText = (kind: string, options: object): string => `${kind} ${JSON.stringify(options)}`

/** Whether the text is of a filter by when items were used last, which each retrieval changes: a colon follows names alone. */
export const isByUse = (text: string): boolean => text.includes('"used":')
