/** Effect services as Promise objects: every method is lifted by the same rule, so a new one costs nothing here. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Cancelled, Closed, type SabineError } from "./core/errors.ts"
import { named, startOf } from "./core/lift.ts"
import { roomInTurn } from "./core/turn.ts"

/** `S` with every method that returns an Effect returning a Promise; it rejects with the same tagged error. */
export type Promised<S> = {
  readonly [K in keyof S]: S[K] extends (...args: infer A) => Effect.Effect<infer R, infer _E>
    ? (...args: A) => Promise<R>
    : S[K]
}

/** Runs Effects for callers of Promises until it is closed. */
export interface Runner {
  readonly runExit: <A, E>(effect: Effect.Effect<A, E>) => Promise<Exit.Exit<A, E | SabineError>>
  readonly isClosed: () => boolean
}

/** Runs one Effect; rejects with its failure, or with `Cancelled` or `Closed` when it was interrupted. */
export const run = <A, E>(runner: Runner, effect: Effect.Effect<A, E>): Promise<A> => {
  if (runner.isClosed()) return Promise.reject(new Closed())
  const start = startOf(effect)
  if (start === undefined) return runInFiber(runner, effect)
  return new Promise((resolve, reject) => {
    start(resolve, (error) => reject(named(error)))
  })
}

const runInFiber = async <A, E>(runner: Runner, effect: Effect.Effect<A, E>): Promise<A> => {
  // Started at once, so that arguments are taken as they are now: what waits for room is the caller.
  const exit = await runner.runExit(effect)
  const room = roomInTurn()
  if (room !== undefined) await room
  if (Exit.isSuccess(exit)) return exit.value
  if (Cause.hasInterruptsOnly(exit.cause)) throw runner.isClosed() ? new Closed() : new Cancelled()
  throw Cause.squash(exit.cause)
}

/** Lifts a service. After the end its other methods throw `Closed`, as lifted ones reject with it. */
export const promised = <S extends object>(service: S, runner: Runner): Promised<S> =>
  Object.fromEntries(
    Object.entries(service).map(([name, member]) => {
      if (typeof member !== "function") return [name, member]
      const lifted = (...args: ReadonlyArray<unknown>) => {
        const result: unknown = member(...args)
        if (Effect.isEffect(result)) return run(runner, result as Effect.Effect<unknown>)
        if (runner.isClosed()) throw new Closed()
        return result
      }
      return [name, lifted]
    })
  ) as Promised<S>
