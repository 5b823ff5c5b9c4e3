/** A database: a folder, or memory alone, with the threads and collections that live in it. */
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { isDeepStrictEqual } from "node:util"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Builder } from "./builder.ts"
import { object } from "./checked.ts"
import { type Collection, makeCollection, type OpenCollection } from "./collection/collection.ts"
import { encoderChoice, unmadeEncoder } from "./collection/encoding.ts"
import {
  type CollectionOptions,
  type CollectionShape,
  checkEmbedder,
  checkIndex,
  checkShape,
  type IndexChoice,
  indexOf,
  shapeOf,
  storeShape,
  wantedGraph
} from "./collection/options.ts"
import { InvalidParameter, IsaUnavailable, type SabineError } from "./errors.ts"
import { checkName, imagePath, lockFolder, savedCollections } from "./folder.ts"
import { abortable, attempt } from "./lift.ts"
import { kernels, unavailableIsa } from "./native.ts"
import { Pool } from "./pool.ts"
import { Dispatcher } from "./search/dispatch.ts"
import type { GraphOptions } from "./store/graph-columns.ts"
import { type ImageIdentity, loadImage, saveImage } from "./store/image.ts"
import { Store } from "./store/store.ts"

/** The path of a database that is never saved. */
const MEMORY = ":memory:"

export interface DatabaseOptions {
  /** Worker threads, 1..256, started when first needed. Default: the processors there are. */
  readonly threads?: number | undefined
  /** Searches that may wait at one moment over all collections, 1..1,000,000; beyond it `Overloaded`. Default 4096. */
  readonly maxQueue?: number | undefined
}

/** An open collection with what its image says of it. */
interface SavedCollection extends OpenCollection {
  generation: number
  readonly graph: GraphOptions | undefined
}

export class Database extends Context.Service<
  Database,
  {
    /**
     * A collection by name: as it was saved, or new. Options of one that exists may be left out; those
     * given must be what it was made with (`CollectionMismatch`).
     */
    readonly collection: (name: string, options?: CollectionOptions) => Effect.Effect<Collection, SabineError>
    /** Names of the collections, saved or open. */
    readonly collections: () => Effect.Effect<ReadonlyArray<string>, SabineError>
    /**
     * Writes an image of every open collection into the folder, each whole or not at all. Searches go
     * on meanwhile, writes wait.
     */
    readonly save: () => Effect.Effect<void, SabineError>
  }
>()("sabine/Database") {
  /** A database at `path`, or `":memory:"`, for the length of the layer's scope. Closing does not save. */
  static readonly layer = (path: string, options: DatabaseOptions = {}) =>
    Layer.unwrap(
      Effect.map(
        attempt(() => object("options", options).threads ?? availableParallelism()),
        (threads) =>
          Layer.effect(Database, acquire(path, options.maxQueue)).pipe(
            Layer.provide(Layer.merge(Pool.layer(threads), Builder.layer))
          )
      )
    )
}

const acquire = Effect.fnUntraced(function* (path: string, maxQueue: number | undefined) {
  if (typeof path !== "string" || path === "") {
    return yield* new InvalidParameter({ parameter: "path", reason: `wanted a folder or "${MEMORY}"` })
  }
  if (unavailableIsa !== undefined) return yield* new IsaUnavailable(unavailableIsa)
  const pool = yield* Pool
  const builder = yield* Builder
  const dispatcher = yield* Dispatcher.scoped(pool, maxQueue)
  const scope = yield* Effect.scope
  const folder = path === MEMORY ? undefined : path
  if (folder !== undefined) yield* lockFolder(folder)
  const open = new Map<string, SavedCollection>()
  const opening = yield* Semaphore.make(1)

  const load = Effect.fnUntraced(function* (name: string, index: IndexChoice, options: CollectionOptions) {
    const saved = folder === undefined ? undefined : imagePath(folder, name)
    if (saved === undefined || !existsSync(saved)) {
      const shape = yield* attempt(() => shapeOf(options))
      const graph = yield* attempt(() => wantedGraph(index, shape, undefined))
      return {
        shape,
        store: new Store(kernels, storeShape(shape), unmadeEncoder(kernels, shape)),
        graph,
        generation: 0
      }
    }
    const shapeOfImage = ({ shape: { pq, ...shape }, encoder, embedder }: ImageIdentity): CollectionShape => ({
      ...shape,
      ...encoderChoice(encoder, pq),
      embedder
    })
    const {
      store,
      meta,
      graph: savedGraph
    } = yield* abortable(() =>
      loadImage(kernels, saved, (identity) => checkShape(name, shapeOfImage(identity), options))
    )
    const shape = shapeOfImage({ shape: store.shape, encoder: store.codes.encoder, embedder: meta.embedder })
    const graph = yield* attempt(() => wantedGraph(index, shape, savedGraph))
    if (store.graph !== undefined && !isDeepStrictEqual(graph, savedGraph)) store.useGraph(undefined)
    return { shape, store, graph, generation: meta.generation }
  })

  const collection = Effect.fnUntraced(function* (name: string, options: CollectionOptions = {}) {
    const index = yield* attempt(() => {
      checkName(name)
      checkEmbedder(object("options", options).embedder)
      return indexOf(options)
    })
    const known = open.get(name)
    if (known !== undefined) {
      yield* attempt(() => checkShape(name, known.shape, options))
      if (options.embedder !== undefined) known.useEmbedder(options.embedder)
      return known.collection
    }
    const { shape, store, graph, generation } = yield* load(name, index, options)
    yield* attempt(() => checkIndex(index, shape))
    const made = yield* makeCollection(
      name,
      shape,
      store,
      { embedder: options.embedder, index, graph },
      pool,
      dispatcher,
      builder
    ).pipe(Effect.provideService(Scope.Scope, scope))
    open.set(name, { ...made, generation, graph })
    return made.collection
  })

  const save = Effect.fnUntraced(function* () {
    if (folder === undefined) {
      return yield* new InvalidParameter({ parameter: "path", reason: "a database in memory has nowhere to be saved" })
    }
    for (const [name, entry] of open) {
      const { store, shape, exclusively } = entry
      yield* exclusively(
        abortable(async () => {
          const meta = { generation: entry.generation + 1, embedder: shape.embedder, graph: entry.graph }
          await saveImage(store, meta, imagePath(folder, name))
          entry.generation = meta.generation
        })
      )
    }
  })

  return Database.of({
    collection: (name, options) => opening.withPermit(collection(name, options)),
    collections: () =>
      abortable(async () => {
        const saved = folder === undefined ? [] : await savedCollections(folder)
        return [...new Set([...saved, ...open.keys()])].sort()
      }),
    save
  })
})
