/**
 * A collection on the thread that owns it: reading, and one writer at a time.
 *
 * Reads run at once. Single writes wait for the log together; a batch, a re-encoding and an image each see a store that
 * nobody else changes.
 */
import * as Effect from "effect/Effect"
import { backgroundIn } from "../background.ts"
import type { Builder } from "../builder.ts"
import { object, optionalFunction } from "../checked.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import { CollectionReplaced, type SabineError } from "../errors.ts"
import { abortable, attempt, ending, limited } from "../lift.ts"
import type { CollectionLog } from "../log/storage.ts"
import type { Pool } from "../pool.ts"
import { initialCost } from "../search/cost.ts"
import type { Dispatcher } from "../search/dispatch.ts"
import { forsake } from "../store/forsaken.ts"
import type { GraphOptions } from "../store/graph-columns.ts"
import type { Store } from "../store/store.ts"
import { type CompactionResult, makeCompacting } from "./compacting.ts"
import { makeGraphIndexing } from "./graph-indexing.ts"
import { makeIndexing } from "./indexing.ts"
import { reveal } from "./inside.ts"
import type { OnIndexProgress } from "./linking.ts"
import { checkedNamespace } from "./namespace.ts"
import type { CollectionShape, IndexChoice } from "./options.ts"
import { makeReading, type Reading } from "./reading.ts"
import { removeTogether } from "./removing.ts"
import { replaceable } from "./replaceable.ts"
import { replay } from "./replay.ts"
import { type Share, shareMemory } from "./share.ts"
import { type CollectionStats, collectionStats } from "./stats.ts"
import { embedWith, type RememberedQueries } from "./texts.ts"
import { type Training, trainOn } from "./training.ts"
import { WriteLock } from "./write-lock.ts"
import { makeWriting, sharedWriting, type Writing } from "./writing.ts"

/** The entries of one namespace: no call of this view reads or writes any other. */
export interface NamespaceView extends Reading, Writing {
  /** The name of the namespace. */
  readonly namespace: string
}

export interface BuildIndexOptions {
  /** Called with the entries that are in the graph, and all there are. */
  readonly onProgress?: OnIndexProgress | undefined
  /** Stops the building that this call waits for; what was built stays, and goes on in the background. */
  readonly signal?: AbortSignal | undefined
}

export interface CompactOptions {
  /** Stops the compaction: `Cancelled`. */
  readonly signal?: AbortSignal | undefined
}

export interface Collection extends Reading, Writing, Training {
  /**
   * Makes what the collection's `index` asks for: lists and a graph of every entry of this moment, however few there are,
   * and measures recall and cost. Without entries, or while the codes are yet to be trained, there are no lists to make;
   * without the native addon there is no graph.
   */
  readonly buildIndex: (options?: BuildIndexOptions) => Effect.Effect<void, SabineError>
  /**
   * Gives back what deleted and replaced entries take: entries move together, so that memory, images and log have no
   * gaps. Searches and writes go on meanwhile, writes with pauses of about a millisecond; where there is a graph, it is
   * mended first. In a folder two new images take the place of the old ones. A `signal` stops it between two moves, and
   * what was done by then stays done.
   */
  readonly compact: (options?: CompactOptions) => Effect.Effect<CompactionResult, SabineError>
  readonly shape: CollectionShape
  /**
   * The view of a namespace, 1 to 1,024 bytes of UTF-8, such as a tenant. Its keys, searches, size and iteration are
   * its own: the same key in two namespaces is two entries. The collection itself is the entries without a namespace.
   */
  readonly namespace: (name: string) => NamespaceView
  /** A handle for another thread of this process, which reads the same memory. */
  readonly share: () => Share
  readonly stats: () => CollectionStats
}

/** A collection and what the database needs of it. */
export interface OpenCollection {
  readonly collection: Collection
  readonly store: Store
  readonly shape: CollectionShape
  /** Embeds with this from now on: a collection can be opened before its embedder is at hand. */
  readonly useEmbedder: (embedder: OpenEmbedder) => void
  /** Runs an effect while nobody writes, neither rows nor links. */
  readonly exclusively: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
}

/** What a collection is opened with. */
interface OpenOptions {
  readonly embedder: OpenEmbedder | undefined
  readonly remembered: RememberedQueries | undefined
  readonly index: IndexChoice
  readonly graph: GraphOptions | undefined
  /** Where writes go before they can be found; absent in memory. */
  readonly log: CollectionLog | undefined
  /** Number of the newest frame of the log that the store holds. */
  readonly watermark: number
}

/** Makes a collection of a store and of what the log has beyond it, for the length of the surrounding scope. */
export const makeCollection = Effect.fnUntraced(function* (
  name: string,
  shape: CollectionShape,
  store: Store,
  { embedder, remembered, index, graph, log, watermark }: OpenOptions,
  pool: Pool["Service"],
  dispatcher: Dispatcher,
  builder: Builder["Service"]
) {
  const background = yield* backgroundIn(yield* Effect.scope)
  const { together, exclusively, singlesDone } = new WriteLock()
  // Single writes that are under way need the log, and those of the Promise door have no fiber that is waited for.
  yield* Effect.addFinalizer(() => singlesDone)
  let current = embedder
  const embed = embedWith({ collection: name, dimensions: shape.dimensions, current: () => current, pool, remembered })
  const searching = { memory: store, dispatcher, cost: initialCost(store.shape, store.kernels.isas().length > 1) }
  const onBuilt = () => indexing.inBackground()
  const graphing = yield* makeGraphIndexing({ store, pool, background, exclusively, onBuilt, wanted: graph })
  const { whileAtRest } = graphing
  const indexing = yield* makeIndexing({ shape, index, store, pool, builder, background, exclusively, whileAtRest })
  const compact = yield* makeCompacting({ store, log, exclusively, whileAtRest, buildGraph: graphing.buildGraph })
  const buildIndex = Effect.fnUntraced(function* (options: BuildIndexOptions) {
    const onProgress = yield* attempt(() => optionalFunction("onProgress", options.onProgress))
    yield* indexing.buildLists
    yield* indexing.calibrate
    yield* graphing.buildGraph(onProgress)
    // Once more where there is a graph now: its walks.
    yield* indexing.calibrate
  })
  const writing = sharedWriting({
    name,
    shape,
    store,
    embed,
    pool,
    builder,
    background,
    log,
    together: (start) => ending(together(start), graphing.keepUp),
    exclusively: (effect) => Effect.ensuring(exclusively(effect), Effect.sync(graphing.keepUp)),
    indexInBackground: indexing.inBackground
  })
  if (log !== undefined) {
    yield* abortable((signal) => replay(writing, log, watermark, signal))
    writing.trainInBackground()
  }
  const collection = replaceable(log, {
    ...makeReading(name, searching, embed),
    ...makeWriting(writing),
    buildIndex: (options = {}) =>
      Effect.flatMap(
        attempt(() => object("options", options)),
        (options) => limited(buildIndex(options), { signal: options.signal })
      ),
    compact: (options = {}) =>
      Effect.flatMap(
        attempt(() => object("options", options)),
        (options) => limited(compact, { signal: options.signal })
      ),
    train: trainOn(writing),
    shape,
    namespace: (wanted) => {
      const namespace = checkedNamespace(wanted)
      return {
        ...makeReading(name, searching, embed, namespace),
        ...makeWriting(writing, namespace),
        namespace
      }
    },
    share: () => shareMemory(name, shape, store),
    stats: () => collectionStats(store, shape, remembered?.cache.stats())
  })
  const useEmbedder = (embedder: OpenEmbedder) => {
    current = embedder
  }
  const last = new Set<() => Promise<void>>()
  const beforeEnd = (work: () => Promise<void>) => {
    last.add(work)
    return () => last.delete(work)
  }
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      await Promise.allSettled([...last].map((work) => work()))
      forsake(collectionStats(store, shape, undefined).bytes.allocated)
    })
  )
  const atRest: typeof exclusively = (effect) => whileAtRest(exclusively(effect))
  const dropIndex = (index: "hnsw" | "ivf") =>
    atRest(attempt(() => (index === "hnsw" ? store.useGraph(undefined) : store.dropLists())))
  const checkCurrent = () => {
    if (log?.isReplaced === true) throw new CollectionReplaced({ collection: name })
  }
  reveal(collection, {
    store,
    searching,
    embed,
    removeTogether: (places) => removeTogether(writing, places),
    run: pool.run,
    isKept: log !== undefined,
    checkCurrent,
    beforeEnd,
    dropIndex
  })
  graphing.keepUp()
  return { collection, store, shape, exclusively: atRest, useEmbedder } satisfies OpenCollection
})
