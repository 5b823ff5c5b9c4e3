/** A damaged folder made whole again of what it still holds. */
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type { Builder } from "../builder.ts"
import { object, optionalFunction } from "../checked.ts"
import { Restoring } from "../checkpoint/restoring.ts"
import type { CollectionShape } from "../collection/options.ts"
import { liveRows } from "../collection/samples.ts"
import type { OpenEmbedder } from "../embed/open-embedder.ts"
import { type EmbedderSource, openEmbedder } from "../embed/source.ts"
import { InvalidParameter, RowsLost } from "../errors.ts"
import { imagePaths, logPath } from "../folder.ts"
import { abortable } from "../lift.ts"
import { encodeFrame } from "../log/frame.ts"
import { LogReading } from "../log/reading.ts"
import { Storage } from "../log/storage.ts"
import { kernels } from "../native.ts"
import type { Pool } from "../pool.ts"
import { isRefusal } from "../store/file-failure.ts"
import { saveImage } from "../store/image.ts"
import { isThere } from "../store/is-there.ts"
import { addressOf, fieldsOf, NO_NAMESPACE, scopeOf } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { embedAgain } from "./embedding.ts"
import { type Rebuilt, rebuild } from "./rebuild.ts"
import { holesOf, lostCollections, lostWrites, NAMED_KEYS, rowsOf } from "./remains.ts"
import { copyMade, made, putInForce, removeMade } from "./replacing.ts"
import { type Source, sourcesOf } from "./sources.ts"
import { lossesOf, reachOf, together, type Untold, untold } from "./untold.ts"
import { type Fault, type VerifiedLog, type VerifyOptions, verifyLocked } from "./verify.ts"

export interface SalvageOptions extends VerifyOptions {
  /** Those that collections were made with, for entries whose vectors are lost; the ones of this package are known. */
  readonly embedders?: ReadonlyArray<EmbedderSource> | undefined
}

/** Options of salvaging, checked. */
export interface CheckedSalvage extends VerifyOptions {
  readonly embedders: ReadonlyArray<OpenEmbedder>
}

export const checkedSalvage = (parameter: string, options: SalvageOptions): CheckedSalvage => {
  const { embedders = [], onProgress } = object(parameter, options)
  if (!Array.isArray(embedders)) {
    throw new InvalidParameter({ parameter: `${parameter}.embedders`, reason: "wanted an array" })
  }
  return {
    embedders: embedders.map((embedder) => openEmbedder(embedder)),
    onProgress: optionalFunction(`${parameter}.onProgress`, onProgress)
  }
}

/** What salvaging came to. */
export interface Salvage {
  /** What was wrong; empty when nothing was, and then nothing was changed now. */
  readonly faults: ReadonlyArray<Fault>
  /** What could not be brought back, cause by cause; by a salvage that was interrupted before this one too. */
  readonly losses: ReadonlyArray<RowsLost>
  /** Collections as they are now. */
  readonly collections: ReadonlyArray<{
    readonly name: string
    readonly rows: number
    /** Of these, entries whose vectors were made again from the text in their payload. */
    readonly reembedded: number
  }>
  /** The folder that the files of before are in; undefined when nothing was changed. */
  readonly aside: string | undefined
}

interface Workers {
  readonly pool: Pool["Service"]
  readonly builder: Builder["Service"]
}

/** Entries that go to the log at once. */
const BATCH = 1024

/** Salvages a folder that nobody else has open. What it lost is noted until whoever has the result says `told`. */
export const salvageLocked = Effect.fnUntraced(function* (
  folder: string,
  workers: Workers,
  { embedders, onProgress }: CheckedSalvage
) {
  yield* finishRestoring(folder)
  const before = yield* abortable(() => untold(folder))
  const work = Effect.scoped(
    Effect.gen(function* () {
      const reading = yield* LogReading.scoped(logPath(folder))
      const { verification, log: found } = yield* verifyLocked(folder, reading, onProgress)
      const { faults, collections: names } = verification
      yield* abortable(() => removeMade(folder))
      if (faults.length === 0) return { faults, names, rebuilt: [], losses: [], highest: 0 }
      const writing = yield* Storage.scoped({ path: made(reading.path), relaxed: false })
      const done = yield* abortable((signal) =>
        new Salvaging(folder, workers, embedders, { found, before, reading, writing, signal }).run(names)
      )
      return { faults, names, ...done }
    })
  )
  const { faults, names, rebuilt, highest, ...found } = yield* Effect.onError(work, () =>
    Effect.ignore(abortable(() => removeMade(folder)))
  )
  const losses = together(lossesOf(before), found.losses)
  if (faults.length === 0) {
    const aside = before.aside && join(folder, before.aside)
    return { faults, losses, collections: [], aside } satisfies Salvage
  }
  const aside = yield* abortable(() =>
    putInForce(
      folder,
      names,
      rebuilt.map(({ name }) => name),
      { before, losses: found.losses, highest }
    )
  )
  return { faults, losses, collections: rebuilt, aside } satisfies Salvage
})

/** Finishes going back to a checkpoint that was interrupted, where the log tells of one. */
const finishRestoring = Effect.fnUntraced(function* (folder: string) {
  const path = logPath(folder)
  if (!(yield* abortable(() => isThere(path)))) return
  const isRestoring = yield* Effect.scoped(
    Effect.flatMap(LogReading.scoped(path), (log) =>
      // What cannot be read is said, and dealt with, later.
      Effect.catch(
        abortable(() => log.isRestoring()),
        (error) => (isRefusal(error) ? Effect.fail(error) : Effect.succeed(false))
      )
    )
  )
  if (!isRestoring) return
  yield* Effect.scoped(
    Effect.flatMap(Storage.scoped({ path, relaxed: false }), (storage) =>
      abortable(() => new Restoring(kernels, folder, storage).finish())
    )
  )
})

interface Files {
  readonly found: VerifiedLog
  /** Of a switch that was interrupted. */
  readonly before: Untold
  readonly reading: LogReading
  /** The log that takes the place of the one that is read. */
  readonly writing: Storage
  readonly signal: AbortSignal
}

class Salvaging {
  readonly #folder: string
  readonly #workers: Workers
  readonly #embedders: ReadonlyArray<OpenEmbedder>
  readonly #files: Files
  readonly #losses: Array<RowsLost> = []
  /** Highest number that an image says which was made. */
  #highest = 0

  constructor(folder: string, workers: Workers, embedders: ReadonlyArray<OpenEmbedder>, files: Files) {
    this.#folder = folder
    this.#workers = workers
    this.#embedders = embedders
    this.#files = files
  }

  /** Makes new files of all collections beside the old ones. */
  async run(names: ReadonlyArray<string>) {
    const { found, reading, writing } = this.#files
    this.#losses.push(...(await lostCollections(reading, found)))
    if (found.survey === undefined && names.length === 0) {
      this.#lose("", undefined, [], "nothing can be read of the log, and nothing else tells what there was")
    }
    const rebuilt: Array<Salvage["collections"][number]> = []
    await writing.open()
    for (const name of names) {
      const made = await this.#collection(name)
      if (made !== undefined) rebuilt.push(made)
    }
    // The file takes its place alone: closing leaves a write-ahead log where moving it fails, and says nothing.
    await writing.call((storage) => storage.flush())
    await writing.call((storage) => storage.close())
    return { rebuilt, losses: this.#losses, highest: this.#highest }
  }

  async #collection(name: string) {
    const { found, before, reading, signal } = this.#files
    const logged = found.survey?.collections.find((collection) => collection.name === name)
    const shape = logged && (JSON.parse(logged.shape) as CollectionShape)
    const sources = await sourcesOf(imagePaths(this.#folder, name), shape?.fields)
    const holes = holesOf(found, logged, sources, await reachOf(this.#folder, before, name))
    const wanted = sources[0]?.shape ?? shape
    const embed = wanted && embedAgain(name, wanted, this.#embedders, this.#workers.pool, signal)
    const remains = {
      sources,
      shape,
      folded: logged?.folded ?? 0,
      holes,
      entries: () => rowsOf(reading, "entries", found, logged),
      frames: () => rowsOf(reading, "log", found, logged)
    }
    const rebuilt = await rebuild(remains, { workers: this.#workers, embed, signal })
    if (rebuilt === undefined) {
      this.#lose(name, undefined, [], "no image of it can be read, nor what the log says that it was made with")
      return undefined
    }
    const { base, store, reembedded } = rebuilt
    const floor = base?.isWhole ? base.watermark : (logged?.folded ?? 0)
    const writes = lostWrites(name, holes, found, logged, floor)
    if (writes !== undefined) this.#losses.push(writes)
    this.#tell(name, rebuilt, embed !== undefined)
    await this.#write(name, rebuilt, sources)
    return { name, rows: store.directory.live, reembedded }
  }

  #lose(collection: string, rows: number | undefined, keys: RowsLost["keys"], reason: string): void {
    this.#losses.push(new RowsLost({ collection, rows, keys: keys.slice(0, NAMED_KEYS), reason }))
  }

  #tell(name: string, { lost, stale, unknown }: Rebuilt, hasEmbedder: boolean): void {
    if (unknown > 0) this.#lose(name, unknown, [], "their blocks of the image are damaged, their keys among them")
    if (stale.length > 0) this.#lose(name, stale.length, stale, "they are as they were before writes that are lost")
    if (lost.length === 0) return
    const again = hasEmbedder
      ? "there is no text to make them again"
      : "the embedder that could make them again is not given"
    this.#lose(name, lost.length, lost, `parts of them are damaged; where these are vectors, ${again}`)
  }

  /** A number that no frame of a collection is beyond. */
  #highestOf(sources: ReadonlyArray<Source>): number {
    const { survey, chains } = this.#files.found
    const folded = survey?.collections.map((collection) => collection.folded) ?? []
    const watermarks = sources.map(({ watermark }) => watermark)
    return Math.max(survey?.highest ?? 0, chains.highest, ...folded, ...watermarks)
  }

  /** Writes the images of a collection, and the entries that the log keeps of it. */
  async #write(name: string, { store, shape, base }: Rebuilt, sources: ReadonlyArray<Source>): Promise<void> {
    const { writing } = this.#files
    const paths = imagePaths(this.#folder, name)
    const watermark = this.#highestOf(sources)
    this.#highest = Math.max(this.#highest, watermark)
    const generation = 1 + Math.max(0, ...sources.map((source) => source.generation))
    await saveImage(store, { generation, embedder: shape.embedder, graph: base?.graph, watermark }, made(paths.newest))
    await copyMade(paths)
    await writing.create(name, JSON.stringify(shape))
    const rows = await liveRows(store)
    for (let from = 0; from === 0 || from < rows.length; from += BATCH) {
      const frames = Array.from(rows.subarray(from, from + BATCH), (row) => entryFrame(store, row))
      await writing.call((storage) => storage.adopt(name, watermark, frames))
    }
  }
}

/** A row as the log keeps an entry that images hold. */
const entryFrame = (store: Store, row: number): Uint8Array => {
  const address = addressOf(store, row)
  const scope = scopeOf(store, row)
  const fields = fieldsOf(store, row)
  return encodeFrame({
    operation: "put",
    namespace: scope === NO_NAMESPACE ? undefined : store.tags.text(scope),
    keys: [store.records.key(address)],
    payloads: [store.records.stored(address)],
    fields: fields && Object.fromEntries(Object.keys(store.shape.fields!).map((name) => [name, [fields[name] ?? null]]))
  })
}
