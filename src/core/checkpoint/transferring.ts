/** Archives of an open database: what is exported and imported is a checkpoint for as long as that takes. */
import { randomUUID } from "node:crypto"
import { isAbsolute, relative, resolve } from "node:path"
import * as Effect from "effect/Effect"
import { object, oneOf, optionalFunction, wholeNumber } from "../checked.ts"
import { ImageInvalid, ImportInvalid, InvalidParameter, type SabineError } from "../errors.ts"
import { checkName } from "../folder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { abortable, attempt, limited } from "../lift.ts"
import type { RestoredCollection } from "../log/schema.ts"
import { linkFile } from "../store/link-file.ts"
import { ARCHIVE_FORMATS, type ArchiveContents, type ExportOptions, type ImportOptions } from "./archive.ts"
import { Checkpoints } from "./checkpoints.ts"
import type { Checkpoint } from "./manifest.ts"
import { pack } from "./packing.ts"
import type { Restoring } from "./restoring.ts"
import { unpack } from "./unpacking.ts"

export interface Transferring {
  /**
   * Writes an archive at `path`, outside the folder of the database: every collection as it is now, saved for that as by
   * `checkpoint`, or a checkpoint. A file that has the name is replaced once the archive is whole; on failure it stays.
   * Others read, write and save meanwhile.
   */
  readonly export: (path: string, options?: ExportOptions) => Effect.Effect<ArchiveContents, SabineError>
  /**
   * All collections are replaced by those of an archive, together, as `restore` does; an archive in a new folder is the
   * database that was exported. The archive is not trusted: it fails with `ImportInvalid`, and nothing has changed, unless
   * it is of the form that `export` writes and each image in it was read and found whole.
   */
  readonly import: (path: string, options?: ImportOptions) => Effect.Effect<ArchiveContents, SabineError>
}

interface Parts {
  readonly kernels: Kernels
  readonly folder: string
  readonly restoring: Restoring
  readonly checkpoints: Checkpoints
  /** Runs an effect while no collection is opened, over a folder that is whole. */
  readonly alone: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** Makes a checkpoint of every collection. */
  readonly saveInto: (target: Checkpoints, name: string) => Effect.Effect<Checkpoint, SabineError>
  /** Replaces every collection by a checkpoint that was read. */
  readonly replaceBy: (
    source: Checkpoints,
    name: string,
    collections: ReadonlyArray<RestoredCollection>
  ) => Effect.Effect<void, SabineError>
}

export const makeTransferring = (parts: Parts): Transferring => {
  const { kernels, folder, restoring, checkpoints, alone, saveInto, replaceBy } = parts
  const transfers = new Checkpoints(kernels, folder, "transfer")

  /** A name that nobody has for what is transferred, for the length of `use`. */
  const transferring = <A>(use: (name: string) => Effect.Effect<A, SabineError>) =>
    Effect.suspend(() => {
      const name = randomUUID()
      // An import that was decided for and could not be finished has its images nowhere else: that comes first. What
      // cannot be removed now is removed by the next opening.
      const remove = Effect.andThen(
        alone(Effect.void),
        abortable(() => transfers.delete(name))
      )
      return Effect.ensuring(use(name), Effect.ignore(remove))
    })

  const linkInto = (name: string, checkpoint: string) =>
    abortable(async () => {
      const { time, collections } = await checkpoints.read(checkpoint)
      const link = (collection: string, to: string) => linkFile(checkpoints.imageOf(checkpoint, collection), to)
      return { ...(await transfers.make(name, collections, link)), name: checkpoint, time }
    })

  const exporting = Effect.fnUntraced(function* (path: string, options: ExportOptions) {
    const { checkpoint, format, onProgress } = yield* attempt(() => checkedExport(folder, path, options))
    return yield* transferring((name) =>
      Effect.gen(function* () {
        const made = yield* alone(
          checkpoint === undefined
            ? Effect.map(saveInto(transfers, name), (all) => ({ ...all, name: "database" }))
            : linkInto(name, checkpoint)
        )
        const imageOf = (collection: string) => transfers.imageOf(name, collection)
        yield* abortable((signal) => pack(path, { kernels, checkpoint: made, imageOf, format, onProgress }, signal))
        return contentsOf(made)
      })
    )
  })

  const importing = Effect.fnUntraced(function* (path: string, options: ImportOptions) {
    const { maxBytes, onProgress } = yield* attempt(() => checkedImport(path, options))
    // What an earlier import left is removed before this one begins.
    yield* alone(Effect.void)
    return yield* transferring((name) =>
      Effect.gen(function* () {
        const read = abortable(async (signal) => {
          const found = await unpack(path, { kernels, folder, target: transfers, name, maxBytes, onProgress }, signal)
          return { found, collections: await restoring.read(transfers, name).catch(refuses(path)) }
        })
        const { found, collections } = yield* limited(read, options)
        yield* alone(replaceBy(transfers, name, collections))
        return contentsOf(found)
      })
    )
  })

  const checked = <A>(options: A & object, use: (options: A) => Effect.Effect<ArchiveContents, SabineError>) =>
    Effect.flatMap(
      attempt(() => object("options", options)),
      use
    )
  return {
    export: (path, options = {}) => checked(options, (given) => limited(exporting(path, given), given)),
    import: (path, options = {}) => checked(options, (given) => importing(path, given))
  }
}

const contentsOf = ({ time, bytes, collections }: Checkpoint): ArchiveContents => ({ time, bytes, collections })

/** For `.catch`: an image that is damaged, as what is wrong with its archive. */
const refuses =
  (path: string) =>
  (error: unknown): never => {
    if (!(error instanceof ImageInvalid)) throw error
    throw new ImportInvalid({ path, field: error.field, reason: error.message })
  }

const checkedExport = (folder: string, path: string, options: ExportOptions) => {
  const { checkpoint, format = "zstd", onProgress } = options
  checkPath(path)
  const inside = relative(resolve(folder), resolve(path))
  if (!inside.startsWith("..") && !isAbsolute(inside)) {
    throw new InvalidParameter({ parameter: "path", reason: "wanted a path outside the folder of the database" })
  }
  if (checkpoint !== undefined) checkName(checkpoint)
  return {
    checkpoint,
    format: oneOf("format", format, ARCHIVE_FORMATS),
    onProgress: optionalFunction("onProgress", onProgress)
  }
}

const checkedImport = (path: string, options: ImportOptions) => {
  const { maxBytes, onProgress } = options
  checkPath(path)
  return {
    maxBytes: maxBytes && wholeNumber("maxBytes", maxBytes, 1, Number.MAX_SAFE_INTEGER),
    onProgress: optionalFunction("onProgress", onProgress)
  }
}

const checkPath = (path: unknown): void => {
  if (typeof path === "string" && path !== "") return
  throw new InvalidParameter({ parameter: "path", reason: "wanted a path" })
}
