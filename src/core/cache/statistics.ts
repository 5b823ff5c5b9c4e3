/** What a cache did, in counters that cost a few nanoseconds each. */
import type { LearnedTtl } from "./adaptive-ttl.ts"
import type { Unkept } from "./facts.ts"
import type { LookUp, MissReason } from "./results.ts"
import type { Mix } from "./traffic.ts"
import type { CacheFeedback } from "./verify/feedback.ts"
import type { Estimate } from "./verify/interval.ts"

/** Times in buckets of powers of two. */
export interface Histogram {
  readonly count: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
  /** Times of bucket `i` are below `2^i` microseconds, and those of the one before are not. */
  readonly buckets: ReadonlyArray<number>
}

export interface CacheStatistics {
  readonly entries: number
  /** Memory of all entries, keys and answers included. */
  readonly bytes: number
  /** What `bytes` may be at this time. */
  readonly maxBytes: number
  /** What was learned of times to live; absent where they are fixed. */
  readonly ttl: LearnedTtl | undefined
  readonly lookUps: number
  /**
   * What the error budget assumes of the look-ups, from what it saw of them: the share that is judged at all, and of these
   * the share whose answer is cached and, where `nearMisses` was told, that which has a near miss. Absent where a threshold decides.
   */
  readonly mix: Mix | undefined
  readonly hits: { readonly exact: number; readonly semantic: number; readonly stale: number }
  readonly misses: Readonly<Partial<Record<MissReason, number>>>
  readonly stored: number
  readonly unkept: Readonly<Partial<Record<Unkept, number>>>
  /** Callers that were served by a call that another had started. */
  readonly shared: number
  readonly evicted: number
  /** Expired entries that were deleted in the background. */
  readonly swept: number
  readonly invalidated: number
  /** Answers that could not be written, though callers got them, and times that what was learned could not be. */
  readonly failures: number
  readonly confirmed: number
  readonly rejected: number
  /**
   * Wrong answers, as far as callers have said, with intervals of 95 %: of semantic hits that were served, and of all
   * look-ups.
   */
  readonly wrong: { readonly ofServed: Estimate; readonly ofLookUps: Estimate }
  /** What the answers that were served had taken when they were made. */
  readonly saved: {
    readonly inputTokens: number
    readonly outputTokens: number
    readonly cost: number
    readonly ms: number
  }
  /** Look-ups, embedding included. */
  readonly latency: Histogram
}

const BUCKETS = 32
/** The last bucket has no end, and what is shifted no more than 32 bits. */
const LONGEST = 0xffffffff

class LatencyHistogram {
  readonly #buckets = new Float64Array(BUCKETS)
  #count = 0
  #max = 0

  add(us: number): void {
    this.#count++
    this.#max = Math.max(this.#max, us)
    this.#buckets[Math.min(BUCKETS - 1, 32 - Math.clz32(Math.min(us, LONGEST)))]!++
  }

  get(): Histogram {
    const at = (share: number): number => {
      let left = share * this.#count
      // Within a bucket times are taken as spread evenly.
      for (let i = 0; i < BUCKETS; i++) {
        const inside = this.#buckets[i]!
        if (inside > 0 && left <= inside) return Math.min(this.#max, 2 ** (i - 1) * (1 + left / inside))
        left -= inside
      }
      return this.#max
    }
    return {
      count: this.#count,
      p50Us: at(0.5),
      p99Us: at(0.99),
      maxUs: this.#max,
      buckets: Array.from(this.#buckets)
    }
  }
}

export class Counters {
  readonly #hits = { exact: 0, semantic: 0, stale: 0 }
  readonly #misses = new Map<MissReason, number>()
  readonly #unkept = new Map<Unkept, number>()
  readonly #saved = { inputTokens: 0, outputTokens: 0, cost: 0, ms: 0 }
  readonly #latency = new LatencyHistogram()
  stored = 0
  shared = 0
  invalidated = 0
  failures = 0
  confirmed = 0
  rejected = 0

  lookedUp(result: LookUp, us: number): void {
    this.#latency.add(us)
    if (!result.isHit) {
      this.#misses.set(result.reason, (this.#misses.get(result.reason) ?? 0) + 1)
      return
    }
    this.#hits[result.tier]++
    if (result.isStale) this.#hits.stale++
    const { inputTokens = 0, outputTokens = 0, cost = 0 } = result.notes
    this.#saved.inputTokens += inputTokens
    this.#saved.outputTokens += outputTokens
    this.#saved.cost += cost
    this.#saved.ms += result.tookMs
  }

  unkept(reason: Unkept): void {
    this.#unkept.set(reason, (this.#unkept.get(reason) ?? 0) + 1)
  }

  get(
    parts: Pick<CacheStatistics, "entries" | "bytes" | "maxBytes" | "ttl" | "mix" | "evicted" | "swept">,
    feedback: CacheFeedback
  ): CacheStatistics {
    const latency = this.#latency.get()
    const lookUps = latency.count
    const wrong = {
      ofServed: feedback.wrongOfServed(),
      ofLookUps: feedback.wrongOfLookUps(this.#hits.semantic, lookUps)
    }
    const { stored, shared, invalidated, failures, confirmed, rejected } = this
    return {
      ...parts,
      lookUps,
      hits: { ...this.#hits },
      misses: Object.fromEntries(this.#misses),
      stored,
      unkept: Object.fromEntries(this.#unkept),
      shared,
      invalidated,
      failures,
      confirmed,
      rejected,
      wrong,
      saved: { ...this.#saved },
      latency
    }
  }
}
