/** Services that run for callers of Promises: each has a runtime that its `close` ends. */
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { SabineError } from "./core/errors.ts"
import type { Runner } from "./promised.ts"

export interface Closable extends AsyncDisposable {
  /** Ends what it started. Calls in flight end first or reject with `Closed`. */
  readonly close: () => Promise<void>
}

/** A runtime for one service, which `close` ends. */
export const start = <S>(layer: Layer.Layer<S, SabineError>) => {
  const runtime = ManagedRuntime.make(layer)
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= runtime.dispose()
    return closed
  }
  const runner: Runner = {
    runExit: (effect) => runtime.runPromiseExit(effect),
    isClosed: () => closed !== undefined
  }
  const closable: Closable = { close, [Symbol.asyncDispose]: close }
  return { runtime, runner, closable }
}
