/** What a cache is, and what a caller may ask of it: options with their defaults. */
import { finite, object, oneOf, optionalFunction, shown, wholeNumber } from "../checked.ts"
import type { CollectionOptions } from "../collection/options.ts"
import { staticEmbedder } from "../embed/static.ts"
import { InvalidParameter } from "../errors.ts"
import type { SizeBounds } from "./adaptive-size.ts"
import type { TtlBounds } from "./adaptive-ttl.ts"
import { type AnswerFacts, FINISHES, usualFacts } from "./facts.ts"
import { FORMS, type Form } from "./packed.ts"
import { diversity } from "./policies/diversity.ts"
import { fifo } from "./policies/fifo.ts"
import { lfu } from "./policies/lfu.ts"
import { lru } from "./policies/lru.ts"
import type { MakePolicy } from "./policies/policy.ts"
import type { CacheRequest } from "./request.ts"
import type { CacheCalibration } from "./verify/budget.ts"
import { learnedVerifier } from "./verify/learned.ts"
import type { Verifier } from "./verify/verifier.ts"

const POLICIES = { lru, lfu, fifo, diversity } as const
export type EvictionName = keyof typeof POLICIES

/**
 * Asks something dearer whether two questions want the same answer: a cross-encoder or a language model. It is asked of
 * the one candidate that would be served. A number is a probability, of which 0.5 or more is yes.
 */
export type Judge = (
  question: string,
  cached: string,
  signal: AbortSignal
) => boolean | number | Promise<boolean | number>

/** Tells what is known of an answer, at once or in its time: it is waited for until the cache is closed. */
export type Facts = (answer: unknown, form: Form) => AnswerFacts | Promise<AnswerFacts>

export interface CacheOptions extends Pick<CollectionOptions, "embedder" | "dimensions" | "precision" | "seed"> {
  /**
   * Name of the collection that holds the entries. One cache at a time is to have it open: a second one does not count what
   * the first writes. Default `"cache"`.
   */
  readonly name?: string | undefined
  /** Tenant of requests that name none. */
  readonly tenant?: string | undefined
  /**
   * Wrong answers / all look-ups that are accepted, above 0 and below 1: an answer is served when the verifier is sure
   * enough to keep to it, by `calibration`. Where that cannot be told, only the same request is served. What callers
   * confirm and reject makes it surer or less sure of an entry, its scope and everything. Default 0.01 with the embedder
   * and verifier that ship, or with a `calibration`, where no `threshold` is given.
   */
  readonly maxFalseHitRate?: number | undefined
  /**
   * Share of all look-ups, 0 to 1, whose own answer is not cached and that of a near miss is: those of a question about the same
   * matter that wants another answer. They draw most of the wrong answers, and cannot be told from duplicates by what a
   * verifier says, so the budget is kept as far as this is not too low, and no more duplicates are assumed than it leaves.
   * 1 is safe whatever is asked, and serves little. Default: as in the calibration, for the shipped one from 0.4 % with
   * 1,000 cached to 28 % with 27,000. A calibration that does not tell near misses apart keeps to its own.
   */
  readonly nearMisses?: number | undefined
  /** How sure the verifier has to be. Default: that which ships, of the learned verifier with the static embedder. */
  readonly calibration?: CacheCalibration | undefined
  /**
   * Least cosine of a cached question that is served for another, -1..1; higher is nearer. A caller may ask for another,
   * not below `floor`. Default 0.9 where there is no budget.
   */
  readonly threshold?: number | undefined
  /** Least cosine that any caller can ask for, -1..1. Default 0.7, with a budget 0.5, or a threshold below these. */
  readonly floor?: number | undefined
  /**
   * Decides which of the nearest candidates asks for the same. Default: the learned one, whose gates refuse texts that
   * differ in a number, a negation, a name and the like.
   */
  readonly verifier?: Verifier | undefined
  readonly judge?: Judge | undefined
  /** Nearest candidates that are verified, 1..32. Default 5. */
  readonly candidates?: number | undefined
  /**
   * Milliseconds that answers live, 1 or more, or what tells it for a request: `undefined` for ever. Default: for ever.
   * `{ minMs, maxMs }` lets each scope have its own time between the two: `maxMs`, until the ages at which its entries are
   * served show that a shorter one costs at most about one hit in a hundred. What was learned is kept with the entries.
   */
  readonly ttlMs?: number | ((request: CacheRequest) => number | undefined) | TtlBounds | undefined
  /** Milliseconds after the time to live that an answer is still served while a new one is fetched. Default 0. */
  readonly staleMs?: number | undefined
  /**
   * Milliseconds between two looks for expired entries, which are deleted in the background, 1..2^31 - 1; false to delete
   * them only when they are met or something has to give way. Each look takes half a millisecond at most. Default 1,000.
   */
  readonly sweepMs?: number | false | undefined
  /** Entries at most, 1 or more. Default: no bound. */
  readonly maxEntries?: number | undefined
  /**
   * Bytes of memory of all entries, 65,536 or more. Above nine tenths of them entries give way until eight tenths are left;
   * a write waits while there is no room, and what alone is more than a tenth is not kept. Default 500,000,000.
   * `{ min, max }` lets the budget change between the two by what is asked for: it begins with `max`, falls while the least
   * worthy entries are not asked for, and rises while entries that gave way are. Where it stands is kept with the entries, and
   * brought within the bounds of the cache that is opened.
   */
  readonly maxBytes?: number | SizeBounds | undefined
  /**
   * Longest answer that is kept, as bytes of JSON, and longest text that is looked for, 1..2^28. Default 1,048,576. An answer
   * becomes JSON in one go of the event loop, and is made of it in another: some milliseconds a megabyte.
   */
  readonly maxAnswerBytes?: number | undefined
  /** What gives way when a bound is met: a name, or a policy of your own. Default `"lru"`. */
  readonly eviction?: EvictionName | MakePolicy | undefined
  /**
   * What is known of an answer that `set` and `wrap` are given. What is kept is what the answer was when this was called.
   * Default: what it says itself in the usual forms.
   */
  readonly facts?: Facts | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
}

/** Where answers come from. */
const SOURCES = ["default", "refresh", "bypass", "only"] as const

export interface GetOptions {
  /** The vector of the text, where the caller has it already. */
  readonly vector?: ArrayLike<number> | undefined
  /** Least cosine, from the floor of the cache to 1. Default: that of the cache. */
  readonly threshold?: number | undefined
  /** Oldest answer that is served, in milliseconds. Default: any. */
  readonly maxAgeMs?: number | undefined
  /** Gives the call up: it rejects with `Cancelled`. What others wait for goes on. */
  readonly signal?: AbortSignal | undefined
}

export interface SetOptions extends AnswerFacts {
  readonly vector?: ArrayLike<number> | undefined
  /** Labels to invalidate it by. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Documents that it was made from, to invalidate it when one changes. */
  readonly sources?: ReadonlyArray<string> | undefined
  /** Default: that of the cache. */
  readonly ttlMs?: number | undefined
  /** Milliseconds that the model took. */
  readonly tookMs?: number | undefined
  /**
   * Whether the answer is the array of the chunks of a stream, and of which kind: those of `"iterable-bytes"` and
   * `"readable-bytes"` are `Uint8Array`s. Default `"value"`.
   */
  readonly form?: Form | undefined
}

export interface AskOptions extends GetOptions, Pick<SetOptions, "tags" | "sources" | "ttlMs"> {
  /**
   * - `default`: from the cache, else from the model, and kept.
   * - `refresh`: from the model, and kept.
   * - `bypass`: from the model, and not kept.
   * - `only`: from the cache; the call rejects with `NotCached` where there is nothing.
   */
  readonly source?: (typeof SOURCES)[number] | undefined
  /** What is known of the answer of this call; what it leaves out is as the `facts` of the cache say. */
  readonly facts?: Facts | undefined
}

/** Options with their defaults. */
export type CacheSettings = ReturnType<typeof settingsOf>

const cosine = (parameter: string, value: number, least = -1): number => {
  if (finite(parameter, value) >= least && value <= 1) return value
  throw new InvalidParameter({ parameter, reason: `wanted a cosine from ${least} to 1, got ${shown(value)}` })
}

const shareOf = (parameter: string, value: number): number => {
  if (finite(parameter, value) >= 0 && value <= 1) return value
  throw new InvalidParameter({ parameter, reason: `wanted a share from 0 to 1, got ${shown(value)}` })
}

const duration = (parameter: string, value: number, least: number): number => {
  if (typeof value === "number" && value >= least) return value
  throw new InvalidParameter({ parameter, reason: `wanted milliseconds, ${least} or more, got ${shown(value)}` })
}

const most = (parameter: string, value: number, least: number): number =>
  wholeNumber(parameter, value, least, Number.MAX_SAFE_INTEGER)

/** The budget of bytes, or what it may be. */
const bytesOf = (maxBytes: number | SizeBounds): number | SizeBounds => {
  if (typeof maxBytes !== "object") return most("maxBytes", maxBytes, LEAST_BYTES)
  const min = most("maxBytes.min", object("maxBytes", maxBytes).min, LEAST_BYTES)
  return { min, max: most("maxBytes.max", maxBytes.max, min) }
}

/** How long answers live: by request, or within bounds. */
const ttlOf = (ttlMs: CacheOptions["ttlMs"]): ((request: CacheRequest) => number | undefined) | TtlBounds => {
  if (typeof ttlMs === "function") return ttlMs
  if (typeof ttlMs === "object") {
    const minMs = duration("ttlMs.minMs", object("ttlMs", ttlMs).minMs, 1)
    return { minMs, maxMs: finite("ttlMs.maxMs", duration("ttlMs.maxMs", ttlMs.maxMs, minMs)) }
  }
  if (ttlMs !== undefined) duration("ttlMs", ttlMs, 1)
  return () => ttlMs
}

const policyOf = (eviction: EvictionName | MakePolicy): MakePolicy => {
  if (typeof eviction === "function") return eviction
  if (Object.hasOwn(POLICIES, eviction)) return POLICIES[eviction]
  const reason = `wanted a policy or one of ${Object.keys(POLICIES).join(", ")}, got ${shown(eviction)}`
  throw new InvalidParameter({ parameter: "eviction", reason })
}

const LEAST_BYTES = 65_536
const USUAL_THRESHOLD = 0.9
const USUAL_FLOOR = 0.7
/** A verifier that is sure is believed further down. */
const BUDGET_FLOOR = 0.5
const USUAL_BUDGET = 0.01

/** Whether the texts are embedded by the embedder that ships, for want of another. */
const isShipped = ({ embedder, dimensions }: CacheOptions): boolean =>
  embedder === undefined && dimensions === undefined

/** The error budget; undefined where a threshold decides. */
const budgetOf = (options: CacheOptions): number | undefined => {
  const { maxFalseHitRate, calibration, threshold, verifier } = options
  if (maxFalseHitRate !== undefined) return finite("maxFalseHitRate", maxFalseHitRate)
  const isKnown = calibration !== undefined || (isShipped(options) && verifier === undefined)
  return isKnown && threshold === undefined ? USUAL_BUDGET : undefined
}

/** Applies bounds and defaults; throws `InvalidParameter`. */
export const settingsOf = (options: CacheOptions) => {
  const { ttlMs, calibration, sweepMs = 1000 } = object("options", options)
  const { verifier = learnedVerifier({ scale: calibration?.scale }) } = options
  const maxFalseHitRate = budgetOf(options)
  const threshold = cosine("threshold", options.threshold ?? USUAL_THRESHOLD)
  const usualFloor = maxFalseHitRate === undefined ? Math.min(USUAL_FLOOR, threshold) : BUDGET_FLOOR
  const floor = cosine("floor", options.floor ?? Math.min(usualFloor, threshold))
  cosine("threshold", threshold, floor)
  if (typeof object("verifier", verifier).verify !== "function") {
    throw new InvalidParameter({ parameter: "verifier", reason: "it has no function verify" })
  }
  return {
    name: options.name ?? "cache",
    tenant: options.tenant,
    collection: collectionOf(options),
    threshold,
    maxFalseHitRate,
    nearMisses: options.nearMisses === undefined ? undefined : shareOf("nearMisses", options.nearMisses),
    calibration,
    floor,
    verifier,
    judge: optionalFunction("judge", options.judge),
    candidates: wholeNumber("candidates", options.candidates ?? 5, 1, 32),
    ttl: ttlOf(ttlMs),
    staleMs: duration("staleMs", options.staleMs ?? 0, 0),
    sweepMs: sweepMs === false ? undefined : wholeNumber("sweepMs", sweepMs, 1, 2 ** 31 - 1),
    maxEntries: options.maxEntries === undefined ? Number.POSITIVE_INFINITY : most("maxEntries", options.maxEntries, 1),
    maxBytes: bytesOf(options.maxBytes ?? 500_000_000),
    maxAnswerBytes: wholeNumber("maxAnswerBytes", options.maxAnswerBytes ?? 1 << 20, 1, 1 << 28),
    policy: policyOf(options.eviction ?? "lru"),
    facts: optionalFunction("facts", options.facts) ?? usualFacts,
    clock: optionalFunction("clock", options.clock) ?? Date.now
  }
}

/** The collection of a cache. */
const collectionOf = ({ embedder, dimensions, precision = "int8", seed }: CacheOptions): CollectionOptions => {
  const encoder = isShipped({ embedder, dimensions }) ? staticEmbedder() : embedder
  return { embedder: encoder, dimensions, precision, seed, metric: "cosine" }
}

/** The least cosine of a call; throws `InvalidParameter` below the floor. */
export const thresholdOf = ({ threshold, floor }: CacheSettings, options: GetOptions): number =>
  options.threshold === undefined ? threshold : cosine("threshold", options.threshold, floor)

/** Throws `InvalidParameter` where a look-up is asked for what makes no sense. */
export const checkGet = (settings: CacheSettings, options: GetOptions): void => {
  thresholdOf(settings, object("options", options))
  if (options.maxAgeMs !== undefined) duration("maxAgeMs", options.maxAgeMs, 0)
}

/** Throws `InvalidParameter` where what is to be kept beside an answer is none of it: it is counted with for good. */
export const checkSet = (options: SetOptions): void => {
  const { tags, sources, ttlMs, form, finish } = object("options", options)
  for (const [name, labels] of Object.entries({ tags, sources })) {
    if (labels === undefined || (Array.isArray(labels) && labels.every((label) => typeof label === "string"))) continue
    throw new InvalidParameter({ parameter: name, reason: `wanted an array of texts, got ${shown(labels)}` })
  }
  if (ttlMs !== undefined) duration("ttlMs", ttlMs, 1)
  if (form !== undefined) oneOf("form", form, FORMS)
  if (finish !== undefined) oneOf("finish", finish, FINISHES)
  for (const name of ["tookMs", "inputTokens", "outputTokens", "cost"] as const) {
    const value = options[name]
    if (value === undefined || finite(name, value) >= 0) continue
    throw new InvalidParameter({ parameter: name, reason: `wanted a number, 0 or more, got ${value}` })
  }
}

/** When an answer that is made now is over; infinite for never. `ttlMs` may come from callers. */
export const expiryOf = ({ clock }: CacheSettings, ttlMs: number | undefined): number =>
  ttlMs === undefined ? Number.POSITIVE_INFINITY : clock() + duration("ttlMs", ttlMs, 1)

export const sourceOf = ({ source = "default" }: AskOptions): (typeof SOURCES)[number] => {
  if (SOURCES.includes(source)) return source
  throw new InvalidParameter({ parameter: "source", reason: `wanted one of ${SOURCES.join(", ")}` })
}
