/** The graph of a collection: kept up with its rows in the background, or built to the end on request. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Background } from "../background.ts"
import type { SabineError } from "../errors.ts"
import { abortable } from "../lift.ts"
import type { Pool } from "../pool.ts"
import type { Graph } from "../store/graph.ts"
import type { GraphOptions } from "../store/graph-columns.ts"
import type { Store } from "../store/store.ts"
import { advance, isBehind, newGraph, type OnIndexProgress, restore } from "./linking.ts"

/** Entries that an index is built from: fewer are scanned sooner than a graph is walked. */
const INDEX_AT = 4096

interface GraphIndexingParts {
  readonly store: Store
  readonly pool: Pool["Service"]
  readonly background: Background
  readonly exclusively: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** What follows when every row has been linked in the background. */
  readonly onBuilt: () => void
  /** The graph that was asked for, if any. */
  readonly wanted: GraphOptions | undefined
}

interface GraphIndexing {
  /**
   * Builds the graph until every entry is in it, however few there are. Does nothing when none is wanted, or without the
   * native addon.
   */
  readonly buildGraph: (onProgress: OnIndexProgress | undefined) => Effect.Effect<void, SabineError>
  /** Starts to link rows in the background when there are enough of them. Costs next to nothing. */
  readonly keepUp: () => void
  /** Runs an effect while no link is written. */
  readonly whileAtRest: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
}

export const makeGraphIndexing = Effect.fnUntraced(function* (parts: GraphIndexingParts) {
  const { store, pool, background, exclusively, onBuilt, wanted } = parts
  const turn = yield* Semaphore.make(1)
  const listeners = new Set<OnIndexProgress>()
  const tell: OnIndexProgress = (done, rows) => {
    for (const listener of listeners) listener(done, rows)
  }
  const canBuild = wanted !== undefined && store.kernels.graph !== undefined

  const graphOf = async (options: GraphOptions): Promise<Graph> => {
    if (store.graph === undefined) store.useGraph(await newGraph(store, options))
    return store.graph!
  }
  /** One turn of building; whether there is more to do. */
  const step = Effect.suspend(() => {
    if (!canBuild) return Effect.succeed(false)
    const { graph } = store
    if (graph?.unrestored !== undefined)
      return Effect.as(exclusively(abortable(() => restore(store, graph, pool))), true)
    return abortable(async (signal) => advance(store, await graphOf(wanted), pool, signal, tell))
  })
  const build: Effect.Effect<void, SabineError> = Effect.gen(function* () {
    while (yield* turn.withPermit(step)) yield* Effect.yieldNow
  })

  let running = false
  const isDue = (): boolean => {
    if (running || !canBuild) return false
    const { graph, directory } = store
    if (graph === undefined) return directory.live >= INDEX_AT
    return graph.unrestored !== undefined || isBehind(store, graph)
  }
  const inBackground = Effect.andThen(build, Effect.sync(onBuilt)).pipe(
    // What is not linked is scanned: searches are right, only slower. The next write tries again.
    Effect.catch((error) => Effect.logWarning("building the index failed", error)),
    Effect.ensuring(Effect.sync(() => (running = false)))
  )
  const keepUp = () => {
    if (!isDue()) return
    running = true
    background(inBackground)
  }

  const buildGraph: GraphIndexing["buildGraph"] = (onProgress) =>
    Effect.suspend(() => {
      if (onProgress === undefined) return build
      listeners.add(onProgress)
      return Effect.ensuring(
        build,
        Effect.sync(() => listeners.delete(onProgress))
      )
    })

  return { buildGraph, keepUp, whileAtRest: (effect) => turn.withPermit(effect) } satisfies GraphIndexing
})
