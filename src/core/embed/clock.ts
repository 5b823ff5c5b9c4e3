/** Time as retries and rate limits see it, so that tests need not wait for it. */
import { setTimeout } from "node:timers/promises"
import { Cancelled } from "../errors.ts"

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number
  /** Resolves after `ms`; rejects when the signal fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await setTimeout(ms, undefined, { signal })
    } catch (cause) {
      throw signal.aborted ? new Cancelled() : cause
    }
  }
}
