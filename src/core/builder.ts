/** The build worker: one long-lived thread for training, behind comlink, started when first needed. */
import type * as Comlink from "comlink"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Build } from "../workers/build.ts"
import { Remote } from "./remote.ts"

export class Builder extends Context.Service<
  Builder,
  {
    /** Calls the build worker. Rejects with `WorkerCrashed` when it dies and with `Closed` after the end. */
    readonly call: <A>(use: (build: Comlink.Remote<Build>) => Promise<A>) => Promise<A>
  }
>()("sabine/Builder") {
  static readonly layer = Layer.effect(
    Builder,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Remote<Build>("build")),
        (remote) => Effect.promise(() => remote.close())
      ),
      (remote) => Builder.of({ call: (use) => remote.call(use) })
    )
  )
}
