/** When a call is given up: the caller's signal fires, or its time is over. */
import { wholeNumber } from "./checked.ts"
import { Cancelled, DeadlineExceeded, InvalidParameter } from "./errors.ts"

export interface Limits {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from the call on. */
  readonly timeout?: number | undefined
}

/** Longest timeout: beyond it timers of Node fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Checks the limits among the options of a call; throws `Cancelled` when the signal fired before it. */
export const checkLimits = ({ signal, timeout }: Limits): void => {
  if (timeout !== undefined) wholeNumber("timeout", timeout, 1, MAX_TIMEOUT_MS)
  if (signal === undefined) return
  if (!(signal instanceof AbortSignal)) {
    throw new InvalidParameter({ parameter: "signal", reason: "wanted an AbortSignal" })
  }
  if (signal.aborted) throw new Cancelled()
}

export const isLimited = ({ signal, timeout }: Limits): boolean => signal !== undefined || timeout !== undefined

/** Calls `stop` once when a limit is met; the result ends the watch. */
export const watchLimits = (
  { signal, timeout }: Limits,
  stop: (error: Cancelled | DeadlineExceeded) => void
): (() => void) => {
  const cancel = () => stop(new Cancelled())
  signal?.addEventListener("abort", cancel, { once: true })
  const timer =
    timeout === undefined ? undefined : setTimeout(() => stop(new DeadlineExceeded({ ms: timeout })), timeout)
  return () => {
    signal?.removeEventListener("abort", cancel)
    clearTimeout(timer)
  }
}
