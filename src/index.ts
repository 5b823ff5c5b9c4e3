/** The Promise door: `open` a database, or `attach` to a collection of another thread. */
import * as Effect from "effect/Effect"
import { behind } from "./behind.ts"
import type { Checkpointing } from "./core/checkpoint/checkpointing.ts"
import { Attached, type AttachOptions } from "./core/collection/attached.ts"
import type * as Core from "./core/collection/collection.ts"
import type { CompactionResult } from "./core/collection/compacting.ts"
import type { CollectionOptions } from "./core/collection/options.ts"
import type { Reading } from "./core/collection/reading.ts"
import type { CollectionHandle } from "./core/collection/share.ts"
import { type DatabaseOptions, Database as DatabaseService } from "./core/database.ts"
import type { RowsLost } from "./core/errors.ts"
import * as Importing from "./core/import/binary-semantic-cache.ts"
import * as Repairing from "./core/salvage/repair.ts"
import type * as Salvaging from "./core/salvage/salvage.ts"
import * as Verifying from "./core/salvage/verify.ts"
import { type Promised, promised, type Runner, run } from "./promised.ts"
import { type Closable, start } from "./started.ts"

export * from "./public.ts"

/** The entries of one namespace of a collection. */
export type Namespace = Promised<Core.NamespaceView>

/** A collection on the thread that opened the database. */
export interface Collection extends Omit<Promised<Core.Collection>, "namespace"> {
  /**
   * The view of a namespace, 1 to 1,024 bytes of UTF-8, such as a tenant. Its keys, searches, size and iteration are
   * its own: the same key in two namespaces is two entries. The collection itself is the entries without a namespace.
   */
  readonly namespace: (name: string) => Namespace
}

export interface Database extends Closable, Promised<Checkpointing> {
  /**
   * Ends threads and releases the folder. Single writes of given vectors in flight are done first, other calls reject
   * with `Closed`. Nothing is saved.
   */
  readonly close: () => Promise<void>
  /** A collection by name: as it was saved, or new. */
  readonly collection: (name: string, options?: CollectionOptions) => Promise<Collection>
  /** Names of the collections, saved or open. */
  readonly collections: () => Promise<ReadonlyArray<string>>
  /** Writes an image of every open collection into the folder, each whole or not at all. */
  readonly save: () => Promise<void>
  /** Compacts every open collection, one after the other; what that gave back together. */
  readonly compact: () => Promise<CompactionResult>
  /** What salvaging could not bring back, cause by cause: empty when it was not asked for or nothing was lost. */
  readonly losses: ReadonlyArray<RowsLost>
}

/** A collection of another thread: everything but writing. */
export interface AttachedCollection extends Promised<Reading>, Closable {}

/** Opens a database: a folder, made when it is not there, or `":memory:"`. */
export const open = async (path: string, options?: DatabaseOptions): Promise<Database> => {
  const { runtime, runner, closable } = start(DatabaseService.layer(path, options))
  try {
    const service = await runtime.runPromise(DatabaseService)
    const database: Database = {
      ...promised(service, runner),
      collection: async (name, options) => {
        const collection = await run(runner, service.collection(name, options))
        return {
          ...promised(collection, runner),
          namespace: (namespace) => promised(collection.namespace(namespace), runner)
        }
      },
      ...closable
    }
    return behind(database, service)
  } catch (error) {
    await closable.close()
    throw error
  }
}

/** Attaches this thread to a collection that another one shared: the same memory, no copy. */
export const attach = (handle: CollectionHandle, options?: AttachOptions): AttachedCollection => {
  const { runtime, runner, closable } = start(Attached.layer(handle, options))
  return { ...promised(runtime.runSync(Attached), runner), ...closable }
}

/**
 * Reads a folder that the Python package binary-semantic-cache wrote, version 2 or 3: codes of 256 bits, and responses
 * that are strings or None. Rejects with `ImportInvalid` when a file is missing, damaged or holds anything else, with
 * `StorageFailure` when the system refuses to read. Nothing of the folder is executed or changed.
 */
export const readBinarySemanticCache = (folder: string): Promise<Importing.ImportedCache> =>
  run(once, Importing.readBinarySemanticCache(folder))

/**
 * Reads every image and every row of the log of the database at `path`, as opening it and reading all of it would, and
 * says what is wrong. Nothing is changed but the lock, which keeps others out meanwhile. Rejects with `FolderLocked` when
 * the database is open, with `StorageFailure` when there is no such folder or it cannot be read, and with `LogInvalid` or
 * `ImageInvalid` when a file is of a newer version.
 */
export const verify = (path: string, options?: Verifying.VerifyOptions): Promise<Verifying.Verification> =>
  run(once, Verifying.verify(path, options))

/**
 * Makes a damaged database at `path` whole again of what it still holds, as `open(path, { salvage: true })` does, and
 * ends. The files of before are kept in a folder `damaged-<number>` in it, which is a database as well; when nothing is
 * wrong nothing is changed. Rejects with `FolderLocked` when the database is open, with `StorageFailure` when there is
 * no such folder or the system refuses, with `LogInvalid` or `ImageInvalid` when a file is of a newer version, and with
 * `EmbedderFailed`: then nothing was changed.
 */
export const repair = (path: string, options?: Salvaging.SalvageOptions): Promise<Salvaging.Salvage> =>
  run(once, Repairing.repair(path, options))

/** For calls that need no service. */
const once: Runner = { runExit: Effect.runPromiseExit, isClosed: () => false }
