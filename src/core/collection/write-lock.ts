/** Who may write: single writes together, while they wait for the log, and everything larger alone. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { SabineError } from "../errors.ts"

/** More single writes than anybody has at one moment. */
const MOST = 1 << 30

type Guard = <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>

export interface WriteLock {
  /** Runs an effect beside others of its kind, while nothing runs exclusively. */
  readonly together: Guard
  /** Runs an effect while nobody writes. */
  readonly exclusively: Guard
}

export const makeWriteLock = Effect.gen(function* () {
  // Everybody passes through the gate, so that single writes that keep coming cannot hold back one that waits for all.
  const gate = yield* Semaphore.make(1)
  const permits = yield* Semaphore.make(MOST)
  const holding =
    (count: number): Guard =>
    (effect) =>
      Effect.uninterruptibleMask((restore) =>
        restore(gate.take(1)).pipe(
          Effect.andThen(Effect.ensuring(restore(permits.take(count)), gate.release(1))),
          Effect.andThen(Effect.ensuring(restore(effect), permits.release(count)))
        )
      )
  return { together: holding(1), exclusively: holding(MOST) } satisfies WriteLock
})

/** Runs writes of the same key one after another. */
export class KeyTurns {
  readonly #busy = new Map<string, Promise<void>>()

  /** Runs an effect when no other runs under this id. */
  run<A>(id: string, effect: Effect.Effect<A, SabineError>): Effect.Effect<A, SabineError> {
    return Effect.suspend(() => {
      const busy = this.#busy.get(id)
      if (busy !== undefined)
        return Effect.andThen(
          Effect.promise(() => busy),
          this.run(id, effect)
        )
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#busy.set(id, promise)
      const end = Effect.sync(() => {
        this.#busy.delete(id)
        resolve()
      })
      return Effect.ensuring(effect, end)
    })
  }
}
