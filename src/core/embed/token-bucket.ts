/** A rate limit that lets short bursts pass: two seconds' worth of requests may start at once. */
import type { Clock } from "./clock.ts"

const BURST_SECONDS = 2

export class TokenBucket {
  readonly #clock: Clock
  readonly #capacity: number
  readonly #perMs: number
  /** Below zero by as many as wait. */
  #tokens: number
  #filledAt: number

  constructor(requestsPerMinute: number, clock: Clock) {
    this.#clock = clock
    this.#perMs = requestsPerMinute / 60_000
    this.#capacity = Math.max(1, this.#perMs * 1000 * BURST_SECONDS)
    this.#tokens = this.#capacity
    this.#filledAt = clock.now()
  }

  /** Resolves when one more request may start; those that wait start in the order in which they came. */
  async take(signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#capacity, this.#tokens + (now - this.#filledAt) * this.#perMs)
    this.#filledAt = now
    this.#tokens -= 1
    if (this.#tokens >= 0) return
    try {
      await this.#clock.sleep(-this.#tokens / this.#perMs, signal)
    } catch (error) {
      this.#tokens += 1
      throw error
    }
  }
}
