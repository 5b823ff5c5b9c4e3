/** A database: a folder, or memory alone, with the threads and collections that live in it. */
import { availableParallelism } from "node:os"
import { isDeepStrictEqual } from "node:util"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Builder } from "./builder.ts"
import { object, oneOf } from "./checked.ts"
import { type Checkpointing, inMemory, makeCheckpointing, nowhere, type Saved } from "./checkpoint/checkpointing.ts"
import { Restoring } from "./checkpoint/restoring.ts"
import { type Collection, makeCollection, type OpenCollection } from "./collection/collection.ts"
import type { CompactionResult } from "./collection/compacting.ts"
import { shapeOfImage, unmadeEncoder } from "./collection/encoding.ts"
import {
  type CollectionOptions,
  type CollectionShape,
  checkIndex,
  checkShape,
  type IndexChoice,
  indexOf,
  type OpenOptions,
  opened,
  shapeOf,
  storeShape,
  wantedGraph
} from "./collection/options.ts"
import { rememberedQueries } from "./collection/texts.ts"
import { dimensionsOf } from "./embed/source.ts"
import { InvalidParameter, IsaUnavailable, LogInvalid, type RowsLost, type SabineError } from "./errors.ts"
import { checkName, imagePaths, logPath, removeUnfinished, savedCollections } from "./folder.ts"
import { abortable, attempt } from "./lift.ts"
import { lockFolder } from "./lock.ts"
import { Storage } from "./log/storage.ts"
import { kernels, unavailableIsa } from "./native.ts"
import { Pool } from "./pool.ts"
import { type CheckedSalvage, checkedSalvage, type SalvageOptions, salvageLocked } from "./salvage/salvage.ts"
import { told } from "./salvage/untold.ts"
import { makeSaving, type SnapshotOptions, type SnapshotSettings, snapshotsOf } from "./saving.ts"
import { Dispatcher } from "./search/dispatch.ts"
import type { ImageIdentity } from "./store/image.ts"
import { loadNewest } from "./store/image-pair.ts"
import { isThere } from "./store/is-there.ts"
import { Store } from "./store/store.ts"

/** The path of a database that is never saved. */
const MEMORY = ":memory:"

export interface DatabaseOptions {
  /** Worker threads, 1..256, started when first needed. Default: the processors there are. */
  readonly threads?: number | undefined
  /** Searches that may wait at one moment over all collections, 1..1,000,000; beyond it `Overloaded`. Default 4096. */
  readonly maxQueue?: number | undefined
  /**
   * When a write in a folder is done: `full`, once it is on the disk and would survive a loss of power; `relaxed`, once
   * the operating system has it, which survives the end of the process. Default `"full"`.
   */
  readonly durability?: Durability | undefined
  /** When images are written in the background; `false` for never. */
  readonly snapshots?: SnapshotOptions | false | undefined
  /**
   * Makes a damaged folder whole again of what it still holds before it is opened: what is lost is in `losses`, and the
   * files of before are kept in a folder `damaged-<number>` in it. Everything is read to find out; when nothing is wrong
   * nothing is changed. Default `false`: what is damaged beyond what images and log make good is an error.
   */
  readonly salvage?: boolean | SalvageOptions | undefined
}

const DURABILITIES = ["full", "relaxed"] as const
export type Durability = (typeof DURABILITIES)[number]

/** An open collection, and how it is saved where there is a folder. */
interface SavedCollection extends OpenCollection {
  readonly saved: Saved | undefined
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
     * Writes an image of every open collection into the folder, each whole or not at all, so that the next opening has
     * less to replay. Searches go on meanwhile, writes wait. What was written before is durable without it.
     */
    readonly save: () => Effect.Effect<void, SabineError>
    /** Compacts every open collection, one after the other; what that gave back together. */
    readonly compact: () => Effect.Effect<CompactionResult, SabineError>
    /** What salvaging could not bring back, cause by cause: empty when it was not asked for or nothing was lost. */
    readonly losses: ReadonlyArray<RowsLost>
  } & Checkpointing
>()("sabine/Database") {
  /** A database at `path`, or `":memory:"`, for the length of the layer's scope. */
  static readonly layer = (path: string, options: DatabaseOptions = {}) =>
    Layer.unwrap(
      Effect.map(
        attempt(() => {
          const {
            threads = availableParallelism(),
            maxQueue,
            durability = "full",
            snapshots,
            salvage = false
          } = object("options", options)
          return {
            threads,
            settings: {
              maxQueue,
              durability: oneOf("durability", durability, DURABILITIES),
              snapshots: snapshotsOf(snapshots),
              salvage: salvage === false ? undefined : checkedSalvage("salvage", salvage === true ? {} : salvage)
            }
          }
        }),
        ({ threads, settings }) =>
          Layer.effect(Database, acquire(path, settings)).pipe(
            Layer.provide(Layer.merge(Pool.layer(threads), Builder.layer))
          )
      )
    )
}

/** Opens the log of a locked folder in the background: whoever needs it first meets what is wrong with it. */
const openLog = Effect.fnUntraced(function* (folder: string, durability: Durability) {
  yield* abortable(() => removeUnfinished(folder))
  const path = logPath(folder)
  const saved = yield* abortable(() => savedCollections(folder))
  if (saved.length > 0 && !(yield* abortable(() => isThere(path)))) {
    const reason = `it is missing, and the folder has images of ${saved.join(", ")}: open it with salvage, or repair it`
    return yield* new LogInvalid({ path, reason })
  }
  const storage = yield* Storage.scoped({ path, relaxed: durability === "relaxed" })
  storage.open().catch(() => undefined)
  return storage
})

/** Options with their defaults. */
interface Settings {
  readonly maxQueue: number | undefined
  readonly durability: Durability
  readonly snapshots: SnapshotSettings
  readonly salvage: CheckedSalvage | undefined
}

/** What a new collection is: an embedder whose dimension nobody said is asked for it. */
const newShape = Effect.fnUntraced(function* (options: OpenOptions) {
  const { embedder } = options
  if (embedder === undefined || options.dimensions !== undefined) return yield* attempt(() => shapeOf(options))
  const dimensions = yield* abortable((signal) => dimensionsOf(embedder, signal))
  return yield* attempt(() => shapeOf({ ...options, dimensions }))
})

const acquire = Effect.fnUntraced(function* (path: string, { maxQueue, durability, snapshots, salvage }: Settings) {
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
  const salvaged = folder && salvage && (yield* salvageLocked(folder, { pool, builder }, salvage))
  const storage = folder === undefined ? undefined : yield* openLog(folder, durability)
  if (salvaged) yield* abortable(() => told(folder))
  const open = new Map<string, SavedCollection>()
  const permit = yield* Semaphore.make(1)
  const restoring = folder === undefined || storage === undefined ? undefined : new Restoring(kernels, folder, storage)
  const whole = restoring === undefined ? Effect.void : abortable(() => restoring.finish())
  const alone = <A>(effect: Effect.Effect<A, SabineError>) => permit.withPermit(Effect.andThen(whole, effect))

  const load = Effect.fnUntraced(function* (name: string, index: IndexChoice, options: OpenOptions) {
    const accept = (identity: ImageIdentity) => checkShape(name, shapeOfImage(identity), options)
    const [log, chosen] = yield* Effect.all(
      [
        abortable(async () => storage?.collection(name)),
        abortable(async () =>
          folder === undefined ? undefined : loadNewest(kernels, imagePaths(folder, name), accept)
        )
      ],
      { concurrency: 2 }
    )
    const unsaved = Effect.fnUntraced(function* (logged?: CollectionShape) {
      const shape = logged ?? (yield* newShape(options))
      const graph = yield* attempt(() => wantedGraph(index, shape, undefined))
      return {
        shape,
        store: new Store(kernels, storeShape(shape), unmadeEncoder(kernels, shape)),
        graph,
        generation: 0,
        watermark: undefined,
        isWhole: false,
        log: yield* abortable(async () => log ?? storage?.create(name, JSON.stringify(shape)))
      }
    })
    if (folder === undefined) return yield* unsaved()
    const watermark = chosen?.meta.watermark
    if (log !== undefined && log.folded > (watermark ?? 0)) {
      const reason = `frames up to ${log.folded} of collection ${name} are in no image that is there`
      return yield* new LogInvalid({ path: logPath(folder), reason })
    }
    if (watermark !== undefined && (log === undefined || log.last < watermark)) {
      const reason = `frames up to ${watermark} of collection ${name} are in an image, and the log knows ${log?.last ?? "none"}`
      return yield* new LogInvalid({ path: logPath(folder), reason })
    }
    if (chosen === undefined) {
      if (log === undefined) return yield* unsaved()
      const shape = JSON.parse(log.shape) as CollectionShape
      yield* attempt(() => checkShape(name, shape, options))
      return yield* unsaved(shape)
    }
    const { store, meta, graph: savedGraph, fault, isNewest } = chosen
    if (fault !== undefined)
      yield* Effect.logWarning(
        "an image is damaged: what is whole of it, or the one before it, and the log stand in",
        fault
      )
    const shape = shapeOfImage({ shape: store.shape, encoder: store.codes.encoder, embedder: meta.embedder })
    const graph = yield* attempt(() => wantedGraph(index, shape, savedGraph))
    if (store.graph !== undefined && !isDeepStrictEqual(graph, savedGraph)) store.useGraph(undefined)
    return { shape, store, graph, generation: meta.generation, watermark, isWhole: isNewest, log }
  })

  const collection = Effect.fnUntraced(function* (name: string, options: CollectionOptions = {}) {
    const { index, embedder, remembered } = yield* attempt(() => {
      checkName(name)
      const { embedder, dimensions, queryCache } = object("options", options)
      return {
        index: indexOf(options),
        embedder: opened(embedder, dimensions),
        remembered: rememberedQueries(queryCache)
      }
    })
    const asked: OpenOptions = { ...options, embedder }
    const known = open.get(name)
    if (known !== undefined) {
      yield* attempt(() => checkShape(name, known.shape, asked))
      if (embedder !== undefined) known.useEmbedder(embedder)
      return known.collection
    }
    const { shape, store, graph, generation, watermark, isWhole, log } = yield* load(name, index, asked)
    yield* attempt(() => checkIndex(index, shape))
    const own = yield* Scope.fork(scope)
    const made = yield* makeCollection(
      name,
      shape,
      store,
      { embedder, remembered, index, graph, log, watermark: watermark ?? 0 },
      pool,
      dispatcher,
      builder
    ).pipe(Effect.provideService(Scope.Scope, own))
    const paths = folder === undefined ? undefined : imagePaths(folder, name)
    const state = { generation, watermark, isWhole, graph }
    const saved =
      paths === undefined || log === undefined
        ? undefined
        : { log, scope: own, saving: yield* makeSaving(made, { ...state, log }, paths, snapshots, own) }
    open.set(name, { ...made, saved })
    return made.collection
  })

  const names = abortable(async () => {
    const logged = (await storage?.names()) ?? []
    return [...new Set([...logged, ...open.keys()])].sort()
  })

  const openAll = Effect.tap(names, (all) => Effect.forEach(all, (name) => collection(name)))

  const save = Effect.fnUntraced(function* () {
    for (const { saved } of open.values()) {
      // Where a checkpoint is restored meanwhile, nothing is left to save.
      if (saved !== undefined) yield* Effect.catchTag(saved.saving.save, "CollectionReplaced", () => Effect.void)
    }
  })

  const compact = Effect.fnUntraced(function* () {
    const results: Array<CompactionResult> = []
    for (const { collection } of open.values()) {
      const compacted = yield* Effect.catchTag(collection.compact(), "CollectionReplaced", () =>
        Effect.succeed(undefined)
      )
      if (compacted !== undefined) results.push(compacted)
    }
    const sum = (of: keyof CompactionResult) => results.reduce((total, result) => total + result[of], 0)
    return {
      movedRows: sum("movedRows"),
      movedPayloads: sum("movedPayloads"),
      freedBytes: sum("freedBytes"),
      freedDiskBytes: sum("freedDiskBytes")
    }
  })

  const checkpointing =
    folder === undefined || restoring === undefined
      ? inMemory
      : makeCheckpointing({ kernels, folder, restoring, openAll, open, alone })
  return Database.of({
    collection: (name, options) => alone(collection(name, options)),
    collections: () => alone(names),
    save: () => (folder === undefined ? nowhere : save()),
    compact,
    losses: salvaged ? salvaged.losses : [],
    ...checkpointing
  })
})
