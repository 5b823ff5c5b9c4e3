/** Plain code as Effects: tagged errors become failures, anything else thrown is a defect. */
import { totalmem } from "node:os"
import * as Effect from "effect/Effect"
import { Cancelled, CapacityExceeded, InvalidParameter, isSabineError, type SabineError } from "./errors.ts"

/** What V8 throws when a buffer cannot be had. */
const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocation failed/i.test(error.message)

/** What was thrown, as a failure or a defect. */
export const failed = (error: unknown): Effect.Effect<never, SabineError> => {
  if (isSabineError(error)) return Effect.fail(error)
  if (isOutOfMemory(error)) return Effect.fail(new CapacityExceeded({ resource: "bytes of memory", limit: totalmem() }))
  return Effect.die(error)
}

/** Runs `work` now. */
export const attempt = <A>(work: () => A): Effect.Effect<A, SabineError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(work())
    } catch (error) {
      return failed(error)
    }
  })

/**
 * Runs `work`. When the fiber is interrupted the signal fires, and the interruption completes only
 * once `work` has settled: memory and locks that it uses are never released under it.
 */
export const abortable = <A>(work: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, SabineError> =>
  Effect.callback((resume) => {
    const controller = new AbortController()
    const running = work(controller.signal)
    running.then(
      (value) => resume(Effect.succeed(value)),
      (error) => resume(failed(error))
    )
    return Effect.promise(() => {
      controller.abort()
      return Promise.allSettled([running])
    })
  })

/**
 * Interrupts `effect` when the signal of a call's options fires, and fails with `Cancelled` once it has stopped.
 * Costs nothing without a signal.
 */
export const cancellable = <A>(
  effect: Effect.Effect<A, SabineError>,
  signal: unknown
): Effect.Effect<A, SabineError> => {
  if (signal === undefined) return effect
  if (signal instanceof AbortSignal) {
    return Effect.suspend(() =>
      signal.aborted ? Effect.fail(new Cancelled()) : Effect.raceFirst(effect, fired(signal))
    )
  }
  return Effect.fail(new InvalidParameter({ parameter: "signal", reason: "wanted an AbortSignal" }))
}

const fired = (signal: AbortSignal): Effect.Effect<never, Cancelled> =>
  Effect.callback((resume) => {
    const cancel = () => resume(Effect.fail(new Cancelled()))
    signal.addEventListener("abort", cancel, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", cancel))
  })
