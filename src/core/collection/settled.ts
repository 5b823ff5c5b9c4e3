/** Effects of a collection awaited by code that has no fiber of its own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Closed, type SabineError } from "../errors.ts"

/** What an effect succeeds with; rejects with what it fails with. Only the end of the database interrupts one. */
export const settled = async <A>(effect: Effect.Effect<A, SabineError>): Promise<A> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.hasInterruptsOnly(exit.cause) ? new Closed() : Cause.squash(exit.cause)
}
