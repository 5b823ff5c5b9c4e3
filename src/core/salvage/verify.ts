/** What is wrong with the folder of a database, told without changing it. */
import { stat } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { object, optionalFunction } from "../checked.ts"
import { ImageInvalid, LogInvalid, type SabineError, StorageFailure } from "../errors.ts"
import { imagePaths, logPath, savedCollections } from "../folder.ts"
import { abortable, attempt } from "../lift.ts"
import { lockFolder } from "../lock.ts"
import { numberOf } from "../log/frame.ts"
import type { LogFault, LogSurvey } from "../log/log-reader.ts"
import { LogReading } from "../log/reading.ts"
import { kernels } from "../native.ts"
import { fails, isRefusal } from "../store/file-failure.ts"
import { loadImage } from "../store/image.ts"
import { thereOf } from "../store/is-there.ts"
import { salvageImage } from "../store/salvage-image.ts"
import { Chains } from "./chains.ts"

/** Something that is wrong with a file of a database. */
export interface Fault {
  readonly path: string
  readonly reason: string
  /** Bytes `[from, to)` at fault, of an image. */
  readonly bytes?: { readonly from: number; readonly to: number }
  /** Rows `from` to `to` at fault, of a table of the log. */
  readonly rows?: { readonly table: string; readonly from: number; readonly to: number }
}

export interface Verification {
  /** Empty when everything is as it was written. */
  readonly faults: ReadonlyArray<Fault>
  /** Names of the collections that images or the log know. */
  readonly collections: ReadonlyArray<string>
  /** Images and logs that were read, and their bytes. */
  readonly files: number
  readonly bytes: number
}

export interface VerifyOptions {
  /** Called with the bytes that were read so far, and all there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What the log was found to hold. */
export interface VerifiedLog {
  /** Undefined when nothing of it can be read, or it is not there. */
  readonly survey: LogSurvey | undefined
  readonly chains: Chains
  readonly faults: ReadonlyArray<LogFault>
}

/**
 * Reads every image and every row of the log of the database at `path`, as opening it and reading all of it would, and
 * says what is wrong. Nothing is changed but the lock, which keeps others out meanwhile. Fails with `FolderLocked` when the
 * database is open, with `StorageFailure` when there is no such folder or it cannot be read, and with `LogInvalid` or
 * `ImageInvalid` when a file is of a newer version.
 */
export const verify = (path: string, options: VerifyOptions = {}): Effect.Effect<Verification, SabineError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const onProgress = yield* attempt(() => optionalFunction("onProgress", object("options", options).onProgress))
      yield* abortable(() => stat(path).catch(fails("open", path)))
      yield* lockForReading(path)
      const log = yield* LogReading.scoped(logPath(path))
      return (yield* verifyLocked(path, log, onProgress)).verification
    })
  )

/** Where nobody may write, nobody can be kept from it, and need not be. */
const READ_ONLY = ["EROFS", "EACCES", "EPERM"]

const lockForReading = (path: string) =>
  Effect.catch(lockFolder(path), (error) =>
    error instanceof StorageFailure && READ_ONLY.includes(error.code) ? Effect.void : Effect.fail(error)
  )

/** Verifies a folder that nobody else has open. */
export const verifyLocked = Effect.fnUntraced(function* (
  folder: string,
  log: LogReading,
  onProgress: VerifyOptions["onProgress"]
) {
  const images = yield* abortable(() => savedCollections(folder))
  const { path } = log
  return yield* abortable(async () => {
    const faults: Array<Fault> = []
    const files = await thereOf([path, ...images.flatMap((name) => Object.values(imagePaths(folder, name)))])
    const sizes = new Map(await Promise.all(files.map(async (file) => [file, await sizeOf(file)] as const)))
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
    let done = 0
    const advance = (by: number): void => {
      done += by
      onProgress?.(done, bytes)
    }

    const found = await verifyLog(log, { isThere: sizes.has(path), hasImages: images.length > 0 }, faults)
    advance(sizes.get(path) ?? 0)
    // Until the images of a checkpoint are in place, which opening does first, the log does not speak of those that are.
    const isRestoring = found.survey !== undefined && (await log.isRestoring())
    const names = [...new Set([...images, ...(found.survey?.collections ?? []).map(({ name }) => name)])].sort()
    for (const name of names) {
      /** Of the images that are whole. */
      const watermarks: Array<number> = []
      for (const image of Object.values(imagePaths(folder, name)).filter((image) => sizes.has(image))) {
        const { meta, invalid } = await loaded(image)
        if (invalid === undefined) watermarks.push(meta?.watermark ?? 0)
        for (const { reason, from, to } of invalid ?? []) faults.push({ path: image, reason, bytes: { from, to } })
        advance(sizes.get(image)!)
      }
      if (found.survey !== undefined && !isRestoring) faults.push(...between(path, name, watermarks, found))
    }
    const verification: Verification = { faults, collections: names, files: files.length, bytes }
    return { verification, log: found }
  })
})

const sizeOf = async (file: string): Promise<number> => (await stat(file).catch(fails("stat", file))).size

/** An image, read as opening reads it, or what is wrong with it. */
const loaded = async (path: string) => {
  try {
    const { meta } = await loadImage(kernels, path)
    return { meta }
  } catch (error) {
    if (!(error instanceof ImageInvalid || error instanceof StorageFailure) || isRefusal(error)) throw error
    const { faults, salvaged } = await salvageImage(kernels, path)
    // The disk gave all of it back this time.
    if (faults.length === 0 && error instanceof StorageFailure) return { meta: salvaged?.meta }
    // What opening found is among them, but for what checksums do not tell.
    return { invalid: faults.length > 0 ? faults : [error as ImageInvalid] }
  }
}

const verifyLog = async (
  log: LogReading,
  { isThere, hasImages }: { readonly isThere: boolean; readonly hasImages: boolean },
  faults: Array<Fault>
): Promise<VerifiedLog> => {
  const { path } = log
  const chains = new Chains()
  const note = (reason: string) => faults.push({ path, reason })
  if (!isThere) {
    if (hasImages) note("it is missing")
    return { survey: undefined, chains, faults: [] }
  }
  const rowFaults: Array<LogFault> = []
  const noteRows = (fault: LogFault) => {
    const { table, from, to, reason } = fault
    rowFaults.push(fault)
    faults.push({ path, reason, rows: { table, from, to } })
  }
  let survey: LogSurvey
  try {
    survey = await log.survey()
    for (const complaint of survey.complaints) note(complaint)
    for (const fault of survey.faults) noteRows(fault)
    for (const { id, folded } of survey.collections) chains.start(id, folded)
    if (survey.version <= survey.newest) {
      for await (const frame of log.frames("log", noteRows)) chains.take(numberOf(frame))
      for await (const _ of log.frames("entries", noteRows));
    }
  } catch (error) {
    if (!(error instanceof LogInvalid || error instanceof StorageFailure) || isRefusal(error)) throw error
    note(error instanceof StorageFailure ? String(error.cause) : error.reason)
    return { survey: undefined, chains: new Chains(), faults: [] }
  }
  const { version, newest } = survey
  // Whatever else is wrong with it is not for this program to say.
  if (version > newest) throw new LogInvalid({ path, reason: `its version ${version} is newer than ${newest}` })
  if (version < 1) note(`there is no version ${version}`)
  for (const { from, to } of chains.gaps) note(`frames after ${from} up to ${to} are missing`)
  const last = Math.max(chains.highest, ...survey.collections.map(({ folded }) => folded))
  if (survey.highest === undefined) note("the number of its newest frame cannot be read")
  else if (survey.highest !== last) note(`its newest frame is ${last} instead of ${survey.highest}`)
  return { survey, chains, faults: rowFaults }
}

/** Whether images of one collection and the log reach one another, of images that are whole. */
const between = (
  path: string,
  name: string,
  watermarks: ReadonlyArray<number>,
  { survey, chains }: VerifiedLog
): ReadonlyArray<Fault> => {
  const logged = survey?.collections.find((collection) => collection.name === name)
  if (logged === undefined) return [{ path, reason: `collection ${name} has images and is not in the log` }]
  const watermark = Math.max(0, ...watermarks)
  const last = Math.max(logged.folded, chains.lastOf(logged.id))
  if (logged.folded > watermark) {
    return [{ path, reason: `frames up to ${logged.folded} of collection ${name} are in no image that is whole` }]
  }
  if (last >= watermark) return []
  return [
    { path, reason: `frames up to ${watermark} of collection ${name} are in an image, and the log ends with ${last}` }
  ]
}
