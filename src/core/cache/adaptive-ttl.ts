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

/** Ages at which entries were served. */
class Ages {
  readonly #counts = new Float32Array(BUCKETS)
  readonly #since: number
  #total = 0

  constructor(now: number) {
    this.#since = now
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

  constructor(bounds: TtlBounds, clock: () => number) {
    this.#bounds = bounds
    this.#clock = clock
    this.#all = new Ages(clock())
  }

  /** Milliseconds that an entry that is written now is to live. */
  ttlOf({ namespace, key }: { readonly namespace: string; readonly key: string }): number {
    const { minMs, maxMs } = this.#bounds
    if (isProbe(key)) return maxMs
    const now = this.#clock()
    const useMs = this.#scopes.get(namespace)?.useMs(now) ?? this.#all.useMs(now) ?? maxMs
    return Math.min(maxMs, Math.max(minMs, useMs))
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
}
