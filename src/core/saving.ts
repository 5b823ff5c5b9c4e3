/** Images of an open collection: on request, and in the background once the log has grown. */
import { stat } from "node:fs/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { object, wholeNumber } from "./checked.ts"
import type { OpenCollection } from "./collection/collection.ts"
import { CollectionReplaced, type SabineError } from "./errors.ts"
import { abortable } from "./lift.ts"
import type { CollectionLog } from "./log/storage.ts"
import type { GraphOptions } from "./store/graph-columns.ts"
import { saveImage } from "./store/image.ts"
import type { ImagePaths } from "./store/image-pair.ts"
import { linkFile } from "./store/link-file.ts"

/** When an image is written unasked. */
export interface SnapshotOptions {
  /** Bytes of the log since the last image, 1 MiB or more; at least half the bytes of the collection. Default 64 MiB. */
  readonly bytes?: number | undefined
  /** Milliseconds since the last image, 1000 or more, at the next write after them. Default 300,000. */
  readonly ms?: number | undefined
}

/** Options with their defaults; infinite for never. */
export type SnapshotSettings = { readonly [K in keyof SnapshotOptions]-?: number }

export const snapshotsOf = (snapshots: SnapshotOptions | false = {}): SnapshotSettings => {
  if (snapshots === false) return { bytes: Number.POSITIVE_INFINITY, ms: Number.POSITIVE_INFINITY }
  const { bytes = 1 << 26, ms = 300_000 } = object("snapshots", snapshots)
  return {
    bytes: wholeNumber("snapshots.bytes", bytes, 1 << 20, Number.MAX_SAFE_INTEGER),
    ms: wholeNumber("snapshots.ms", ms, 1000, Number.MAX_SAFE_INTEGER)
  }
}

/** What the images of a collection say of it. */
interface SavedState {
  /** Of the newest image; 0 while there is none. */
  generation: number
  /** Newest frame in the newest image that is whole; undefined while there is none. */
  watermark: number | undefined
  /** Whether the file of the newest image is whole, so that the next one leaves it as the previous. */
  isWhole: boolean
  readonly graph: GraphOptions | undefined
  readonly log: CollectionLog
}

export interface Saving {
  /** Writes an image, and takes out of the log what it and the one before it hold. */
  readonly save: Effect.Effect<void, SabineError>
  /** The same, and gives the image another name as well before the next one takes its place. */
  readonly saveTo: (path: string) => Effect.Effect<void, SabineError>
  /** Runs an effect while nothing is written, neither rows nor images. */
  readonly alone: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
}

/** Bytes of those of the files that are there. */
const bytesOf = async (paths: ReadonlyArray<string>): Promise<number> => {
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0
      )
    )
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Saves a collection for the length of `scope`, which ends what runs in the background. */
export const makeSaving = Effect.fnUntraced(function* (
  { store, shape, exclusively }: OpenCollection,
  state: SavedState,
  { newest, previous }: ImagePaths,
  { bytes, ms }: SnapshotSettings,
  scope: Scope.Scope
) {
  const { log } = state
  const permit = yield* Semaphore.make(1)
  const write = Effect.gen(function* () {
    if (log.isReplaced) return yield* new CollectionReplaced({ collection: log.name })
    const before = state.watermark
    const logged = log.bytes
    let watermark = 0
    yield* abortable(async () => {
      const generation = state.generation + 1
      await saveImage(store, { generation, embedder: shape.embedder, graph: state.graph }, newest, {
        previous: state.isWhole ? previous : undefined,
        exclusively: (work) => Effect.runPromise(exclusively(abortable(() => log.flush().then(work)))),
        watermark: () => (watermark = log.last)
      })
      Object.assign(state, { generation, watermark, isWhole: true })
    })
    savedBytes = logged
    savedAt = performance.now()
    // The previous image and the newest both hold these.
    if (before !== undefined) yield* abortable(() => log.fold(before))
  })
  const save = permit.withPermit(write)
  const alone: Saving["alone"] = (effect) => permit.withPermit(exclusively(effect))
  const saveTo = (path: string) =>
    permit.withPermit(
      Effect.andThen(
        write,
        abortable(() => linkFile(newest, path))
      )
    )

  const files = [newest, previous, log.path, `${log.path}-wal`]
  const compact = Effect.gen(function* () {
    const before = yield* Effect.promise(() => bytesOf(files))
    const watermark = state.watermark
    yield* save
    // The previous image is of then, and the log has what came since: both are told anew.
    const [now, then] = yield* Effect.promise(() => Promise.all([bytesOf([newest]), bytesOf([previous])]))
    if (then > now || state.watermark !== watermark) yield* save
    yield* abortable(() => log.vacuum())
    return Math.max(0, before - (yield* Effect.promise(() => bytesOf(files))))
  })

  let savedBytes = log.bytes
  let savedAt = performance.now()
  let running = false
  const isDue = (): boolean => {
    if (running || log.bytes === savedBytes) return false
    const grown = log.bytes - savedBytes
    // Asked after every write: sizes are added up only where they may decide.
    return (grown >= bytes && grown >= imageBytes() / 2) || performance.now() - savedAt >= ms
  }
  const imageBytes = () => Object.values(store.columnBytes()).reduce((total, { touched }) => total + touched, 0)
  const inBackground = save.pipe(
    // The log keeps everything: the next write tries again once as much has come to it, or as much time has passed.
    Effect.catch((error) => Effect.logWarning("writing an image in the background failed", error)),
    Effect.ensuring(
      Effect.sync(() => {
        running = false
        savedBytes = log.bytes
        savedAt = performance.now()
      })
    )
  )
  log.save = () => Effect.runPromise(save)
  log.compact = () => Effect.runPromise(compact)
  log.onAppend = () => {
    if (!isDue()) return
    running = true
    Effect.runFork(Effect.forkIn(inBackground, scope))
  }
  return { save, saveTo, alone } satisfies Saving
})
