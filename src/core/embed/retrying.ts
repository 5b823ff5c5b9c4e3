/** Requests that are worth another attempt: a deadline over all of them, and jittered waits that grow. */

import { orCancelled } from "../abort.ts"
import { type EmbedderFailureReason, EmbedderRequestFailed } from "../errors.ts"
import type { Clock } from "./clock.ts"
import type { TokenBucket } from "./token-bucket.ts"

interface RetryPolicy {
  /** Identity of the embedder, for its errors. */
  readonly embedder: string
  /** Milliseconds for a request, retries and the waits between them included. */
  readonly timeout: number
  readonly maxRetries: number
  readonly clock: Clock
  readonly bucket?: TokenBucket | undefined
  readonly onRequest: (isRetry: boolean) => void
}

/** Longest that timers of Node know. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1
export const MAX_RETRIES = 100

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 20_000

/** What a status says whoever sent it. */
export const classifyStatus = (httpStatus: number): EmbedderFailureReason => {
  if (httpStatus === 401 || httpStatus === 403) return "authentication"
  if (httpStatus === 429) return "rate-limited"
  return httpStatus >= 500 ? "server" : "rejected"
}

/** Only these pass by themselves. A timeout has used up the time for another attempt. */
const isWorthRetrying = (error: unknown): error is EmbedderRequestFailed =>
  error instanceof EmbedderRequestFailed && ["rate-limited", "server", "unreachable"].includes(error.reason)

/**
 * What an attempt resolves with; rejects with what the last one failed with, with `timeout` or with `Cancelled`. The
 * time does not run while a request waits for the rate limit to let it start.
 */
export const retrying = async <A>(
  policy: RetryPolicy,
  signal: AbortSignal,
  attempt: (signal: AbortSignal) => PromiseLike<A>
): Promise<A> => {
  const { clock, timeout, maxRetries, bucket, onRequest } = policy
  await bucket?.take(signal)
  const end = clock.now() + timeout
  for (let retry = 0; ; retry++) {
    onRequest(retry > 0)
    try {
      return await attemptUntil(policy, end, signal, attempt)
    } catch (error) {
      if (retry >= maxRetries || !isWorthRetrying(error)) throw error
      const wait = error.retryAfter ?? backoff(retry)
      if (clock.now() + wait >= end) throw error
      await clock.sleep(wait, signal)
      await bucket?.take(signal)
      if (clock.now() >= end) throw error
    }
  }
}

/** Between half of an exponential wait and all of it, so that callers who failed together do not return together. */
const backoff = (retry: number): number => {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** retry)
  return longest * (0.5 + Math.random() / 2)
}

const attemptUntil = async <A>(
  { embedder, clock, timeout }: RetryPolicy,
  end: number,
  signal: AbortSignal,
  attempt: (signal: AbortSignal) => PromiseLike<A>
): Promise<A> => {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), Math.ceil(end - clock.now()))
  const either = AbortSignal.any([signal, late.signal])
  try {
    return await orCancelled(attempt(either), either)
  } catch (cause) {
    if (!late.signal.aborted) throw cause
    throw new EmbedderRequestFailed({ embedder, reason: "timeout", detail: `no answer within ${timeout} ms`, cause })
  } finally {
    clearTimeout(timer)
  }
}
