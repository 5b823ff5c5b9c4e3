/**
 * Times to live that follow from reuse: as long as entries of a scope are of use, and no longer.
 *
 * What decides is the age at which entries are served: a time to live that nearly all of these ages lie within costs
 * next to no hits, and whatever is older only takes room. Ages of entries that were cut short would show what their time
 * allowed, so one entry of eight, by its key, always lives for the longest time, and ages are taken from these alone: when
 * entries come to be wanted later again, that is seen (as by the leader sets of adaptive processor caches: Qureshi et al.,
 * Adaptive Insertion Policies, ISCA 2007). A cache that is young has seen only young entries: nothing is cut short before
 * it has watched for several times as long.
 */
import { isRecord } from "../checked.ts"

export interface TtlBounds {
  /** Shortest time to live, in milliseconds, 1 or more. */
  readonly minMs: number
  /** Longest time to live, in milliseconds, `minMs` or more: that of all entries until reuse was observed. */
  readonly maxMs: number
}

/** Share of the hits that a time to live is to leave. */
const KEPT = 0.99
/** How much longer than that entries live. */
const SLACK = 1.25
/** Hits of a scope, and of all together, below which nothing is concluded. */
const LEAST_HITS = 64
/** How many times as long as the time to live the cache must have watched. */
const WATCHED = 4
/** Ages are told apart to a quarter of an octave, up to 2^40 milliseconds. */
const STEPS = 4
const BUCKETS = 40 * STEPS
/** Counts are halved when there are so many: what was observed long ago counts for little. */
const MOST_HITS = 4096
/** Scopes whose ages are at hand. */
const SCOPES = 1024

/** Numbers that are kept of the ages of all scopes together, and what all else of a scope counts for: less than 64 KiB as JSON. */
const MOST_KEPT = 4096
const SCOPE_NUMBERS = 8
/** Counts are kept to a hundredth. */
const KEPT_PARTS = 100

/** Ages as plain JSON. */
interface AgesState {
  /** Time for which the cache was open and watched; that it is closed says nothing of reuse. */
  readonly watchedMs: number
  /** Buckets that are not empty, each followed by its count. */
  readonly counts: ReadonlyArray<number>
}

/** What was learned, as plain JSON. */
interface TtlState extends AgesState {
  /** The bound that it was learned within. */
  readonly maxMs: number
  /** Those served last, the last one last, as many as there is room for. */
  readonly scopes: ReadonlyArray<AgesState & { readonly namespace: string }>
}

/** Times to live of a cache, as far as reuse has told. */
export interface LearnedTtl {
  /** Milliseconds that an entry lives whose scope has not been told apart: the longest, where too little was seen. */
  readonly usualMs: number
  /** Scopes whose entries were served of late, 1,024 at most. */
  readonly scopes: number
}

/** Ages at which entries were served. */
class Ages {
  readonly #counts = new Float32Array(BUCKETS)
  readonly #since: number
  #total = 0

  /** Watching began at `since`. */
  constructor(since: number, counts: ReadonlyArray<number> = []) {
    this.#since = since
    for (let i = 0; i < counts.length; i += 2) {
      this.#counts[counts[i]!] = counts[i + 1]!
      this.#total += counts[i + 1]!
    }
  }

  state(now: number): AgesState {
    const counts: Array<number> = []
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = Math.round(KEPT_PARTS * this.#counts[bucket]!) / KEPT_PARTS
      if (count > 0) counts.push(bucket, count)
    }
    return { watchedMs: Math.max(0, now - this.#since), counts }
  }

  add(ageMs: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.floor(STEPS * Math.log2(Math.max(1, ageMs))))
    this.#counts[bucket]!++
    if (++this.#total < MOST_HITS) return
    this.#total = 0
    for (let i = 0; i < BUCKETS; i++) {
      this.#counts[i]! /= 2
      this.#total += this.#counts[i]!
    }
  }

  /** How long entries are of use; undefined where too little was seen to tell. */
  useMs(now: number): number | undefined {
    if (this.#total < LEAST_HITS) return undefined
    let left = KEPT * this.#total
    let bucket = 0
    while (bucket < BUCKETS - 1 && left > this.#counts[bucket]!) left -= this.#counts[bucket++]!
    const useMs = SLACK * 2 ** ((bucket + 1) / STEPS)
    return now - this.#since >= WATCHED * useMs ? useMs : undefined
  }
}

/** Whether an entry lives for the longest time, so that its age may be learned from: one key of eight is such. */
const isProbe = (key: string): boolean => (key.charCodeAt(0) & 7) === 0

export class AdaptiveTtl {
  readonly #bounds: TtlBounds
  readonly #clock: () => number
  readonly #all: Ages
  /** By namespace, the least recently served first. */
  readonly #scopes = new Map<string, Ages>()

  /**
   * `kept` is what `toJSON` said when the cache was closed, by which it goes on within the bounds of today; anything else
   * counts for nothing.
   */
  constructor(bounds: TtlBounds, clock: () => number, kept?: unknown) {
    this.#bounds = bounds
    this.#clock = clock
    const now = clock()
    if (!isState(kept)) {
      this.#all = new Ages(now)
      return
    }
    // Entries that were over sooner than they would be today have shown no later use: it has to be watched for anew.
    const since = ({ watchedMs }: AgesState) => (kept.maxMs < bounds.maxMs ? now : now - watchedMs)
    this.#all = new Ages(since(kept), kept.counts)
    for (const ages of kept.scopes) this.#scopes.set(ages.namespace, new Ages(since(ages), ages.counts))
  }

  toJSON(): TtlState {
    const now = this.#clock()
    const all = this.#all.state(now)
    const scopes: Array<TtlState["scopes"][number]> = []
    let room = MOST_KEPT - all.counts.length
    for (const [namespace, ages] of Array.from(this.#scopes).reverse()) {
      const state = ages.state(now)
      room -= state.counts.length + SCOPE_NUMBERS
      if (room < 0) break
      scopes.push({ namespace, ...state })
    }
    return { maxMs: this.#bounds.maxMs, ...all, scopes: scopes.reverse() }
  }

  get learned(): LearnedTtl {
    return { usualMs: this.#bounded(this.#all.useMs(this.#clock())), scopes: this.#scopes.size }
  }

  /** Milliseconds that an entry that is written now is to live. */
  ttlOf({ namespace, key }: { readonly namespace: string; readonly key: string }): number {
    if (isProbe(key)) return this.#bounds.maxMs
    const now = this.#clock()
    return this.#bounded(this.#scopes.get(namespace)?.useMs(now) ?? this.#all.useMs(now))
  }

  /** Takes note of an entry that was served at an age, of those that it could have reached. */
  served(namespace: string, key: string, ageMs: number, livesMs: number): void {
    if (!isProbe(key) || livesMs < this.#bounds.maxMs) return
    this.#all.add(ageMs)
    const known = this.#scopes.get(namespace)
    const ages = known ?? new Ages(this.#clock())
    if (known !== undefined) this.#scopes.delete(namespace)
    else if (this.#scopes.size >= SCOPES) this.#scopes.delete(this.#scopes.keys().next().value!)
    this.#scopes.set(namespace, ages)
    ages.add(ageMs)
  }

  #bounded(useMs: number | undefined): number {
    const { minMs, maxMs } = this.#bounds
    return Math.min(maxMs, Math.max(minMs, useMs ?? maxMs))
  }
}

const isState = (kept: unknown): kept is TtlState => {
  if (!isRecord(kept) || !areAges(kept) || !isPositive(kept["maxMs"])) return false
  const { scopes } = kept
  if (!Array.isArray(scopes) || scopes.length > SCOPES) return false
  return scopes.every((one) => isRecord(one) && typeof one["namespace"] === "string" && areAges(one))
}

const areAges = ({ watchedMs, counts }: Readonly<Record<string, unknown>>): boolean => {
  if (!(isPositive(watchedMs) || watchedMs === 0) || !Array.isArray(counts)) return false
  if (counts.length % 2 !== 0 || counts.length > 2 * BUCKETS) return false
  return counts.every((value, i) =>
    i % 2 === 0 ? Number.isInteger(value) && value >= 0 && value < BUCKETS : isPositive(value) && value <= MOST_HITS
  )
}

const isPositive = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value > 0
