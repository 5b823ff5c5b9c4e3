/** A collection of another thread of the process, searched and read where it lies. */
import { MessagePort } from "node:worker_threads"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { object } from "../checked.ts"
import type { QueryCacheOptions } from "../embed/query-cache.ts"
import type { EmbedderSource } from "../embed/source.ts"
import { InvalidParameter } from "../errors.ts"
import { attempt } from "../lift.ts"
import { kernels } from "../native.ts"
import { Pool } from "../pool.ts"
import { initialCost } from "../search/cost.ts"
import { Dispatcher } from "../search/dispatch.ts"
import { AttachedMemory } from "../store/attach.ts"
import { checkedNamespace } from "./namespace.ts"
import { checkShape, opened } from "./options.ts"
import { makeReading, type Reading } from "./reading.ts"
import type { CollectionHandle } from "./share.ts"
import { embedWith, rememberedQueries } from "./texts.ts"

export interface AttachOptions {
  /** Embeds text queries on this thread; the same as the collection's. */
  readonly embedder?: EmbedderSource | undefined
  /** Vectors of text queries that this thread remembers: as for a collection. */
  readonly queryCache?: QueryCacheOptions | false | undefined
  /**
   * Worker threads for long searches of this thread, 1..256, started when first needed. Default 1: threads that
   * attach share the processors among themselves already.
   */
  readonly threads?: number | undefined
  /** Searches of this thread that may wait at one moment, 1..1,000,000; beyond it `Overloaded`. Default 4096. */
  readonly maxQueue?: number | undefined
  /** The only namespace that this thread reads. Default: the entries without one. */
  readonly namespace?: string | undefined
}

/** A shared collection as a service of the thread that attached to it. */
export class Attached extends Context.Service<Attached, Reading>()("sabine/Attached") {
  static readonly layer = (
    handle: CollectionHandle,
    { embedder: source, queryCache, threads = 1, maxQueue, namespace }: AttachOptions = {}
  ) =>
    Layer.effect(
      Attached,
      Effect.gen(function* () {
        const pool = yield* Pool
        const remembered = yield* attempt(() => rememberedQueries(queryCache))
        const embedder = yield* attempt(() => {
          if (!(object("handle", handle).port instanceof MessagePort)) {
            throw new InvalidParameter({ parameter: "handle", reason: "wanted the handle that share() made" })
          }
          if (namespace !== undefined) checkedNamespace(namespace)
          const embedder = opened(source, handle.shape.dimensions)
          checkShape(handle.name, handle.shape, { embedder })
          return embedder
        })
        const { name, memory: shared, reader, port } = handle
        // The port carries memory made later; the owner releases this reader when it closes.
        yield* Effect.acquireRelease(
          Effect.sync(() => port.unref()),
          () => Effect.sync(() => port.close())
        )
        const dispatcher = yield* Dispatcher.scoped(pool, maxQueue)
        const memory = new AttachedMemory(kernels, shared, reader, port)
        const embed = embedWith({
          collection: name,
          dimensions: memory.shape.dimensions,
          current: () => embedder,
          pool,
          remembered
        })
        const cost = initialCost(memory.shape, kernels.isas().length > 1)
        return makeReading(name, { memory, cost, dispatcher }, embed, namespace)
      })
    ).pipe(Layer.provide(Pool.layer(threads)))
}
