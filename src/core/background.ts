/** Work that nobody waits for, and that ends with a scope. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Starts an effect, which goes on until it is done or the scope ends. */
export type Background = (effect: Effect.Effect<void>) => void

/** Starts effects for the length of `scope`, with the context of the fiber that this runs in. */
export const backgroundIn = (scope: Scope.Scope): Effect.Effect<Background> =>
  Effect.map(Effect.context(), (context) => {
    const run = Effect.runForkWith(context)
    return (effect) => void run(Effect.forkIn(effect, scope))
  })
