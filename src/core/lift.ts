/** Plain code as Effects: tagged errors become failures, anything else thrown is a defect. */
import { totalmem } from "node:os"
import * as Effect from "effect/Effect"
import { CapacityExceeded, isSabineError, type SabineError } from "./errors.ts"
import { checkLimits, isLimited, type Limits, watchLimits } from "./limits.ts"
import { whenRoom } from "./turn.ts"

/** What V8 throws when a buffer cannot be had. */
const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /allocation failed/i.test(error.message)

/** What was thrown, by the name we have for it. */
export const named = (error: unknown): unknown =>
  isOutOfMemory(error) ? new CapacityExceeded({ resource: "bytes of memory", limit: totalmem() }) : error

/** What was thrown, as a failure or a defect. */
const failed = (error: unknown): Effect.Effect<never, SabineError> => {
  const known = named(error)
  return isSabineError(known) ? Effect.fail(known) : Effect.die(known)
}

/** The effect that `choose` chooses; what it throws is what that fails with. */
export const chosen = <A>(choose: () => Effect.Effect<A, SabineError>): Effect.Effect<A, SabineError> => {
  try {
    return choose()
  } catch (error) {
    return failed(error)
  }
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
 * Interrupts `effect` when a limit of the call is met, and fails with `Cancelled` or `DeadlineExceeded` once it has
 * stopped. Costs nothing without limits.
 */
export const limited = <A>(effect: Effect.Effect<A, SabineError>, limits: Limits): Effect.Effect<A, SabineError> =>
  isLimited(limits)
    ? Effect.andThen(
        attempt(() => checkLimits(limits)),
        Effect.raceFirst(effect, met(limits))
      )
    : effect

const met = (limits: Limits): Effect.Effect<never, SabineError> =>
  Effect.callback((resume) => {
    const end = watchLimits(limits, (error) => resume(Effect.fail(error)))
    return Effect.sync(end)
  })

/**
 * What starts a call: it settles at once or later. What it returns stops a call that is not over, and settles when it
 * has ended.
 */
export type Start<A> = (done: (value: A) => void, fail: (error: unknown) => void) => (() => Promise<void>) | undefined

/** Starts what `make` makes of the arguments of a call as they are now; what it throws fails. */
export const making =
  <A>(make: () => Start<A>): Start<A> =>
  (done, fail) => {
    let start: Start<A>
    try {
      start = make()
    } catch (error) {
      fail(error)
      return undefined
    }
    return start(done, fail)
  }

/** Settles at once with what `work` gives or throws. */
export const atOnce = <A>(work: () => A): Start<A> =>
  making(() => {
    const value = work()
    return (done) => {
      done(value)
      return undefined
    }
  })

/** Runs `end` when a call has settled, before it says so. */
export const ending =
  <A>(start: Start<A>, end: () => void): Start<A> =>
  (done, fail) =>
    start(
      (value) => {
        end()
        done(value)
      },
      (error) => {
        end()
        fail(error)
      }
    )

const START = Symbol("start")

/**
 * A call as an Effect that a door of Promises may start without a fiber: one costs more than a short search does.
 * `start` must not throw.
 */
export const direct = <A>(start: Start<A>): Effect.Effect<A, SabineError> => {
  const effect = Effect.callback<A, SabineError>((resume) => {
    const stop = start(
      (value) => resume(Effect.succeed(value)),
      (error) => resume(failed(error))
    )
    return stop && Effect.promise(stop)
  })
  return Object.assign(effect, { [START]: start })
}

/** What starts `effect` without a fiber; undefined when it needs one. */
export const startOf = <A, E>(effect: Effect.Effect<A, E>): Start<A> | undefined =>
  (effect as { readonly [START]?: Start<A> })[START]

/**
 * A call that may settle at once, and often: a door of Promises is told how it ended in a turn of the event loop that has
 * room for what its caller does next. Whoever runs it as an Effect goes on before anybody else does.
 */
export const directInRoom = <A>(start: Start<A>): Effect.Effect<A, SabineError> => {
  const inRoom: Start<A> = (done, fail) =>
    start(
      (value) => whenRoom(() => done(value)),
      (error) => whenRoom(() => fail(error))
    )
  return Object.assign(direct(start), { [START]: inRoom })
}
