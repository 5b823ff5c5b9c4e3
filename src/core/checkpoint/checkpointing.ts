/** Checkpoints of an open database, and going back to them. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { InvalidParameter, type SabineError } from "../errors.ts"
import type { Kernels } from "../kernels/contract.ts"
import { abortable } from "../lift.ts"
import type { RestoredCollection } from "../log/schema.ts"
import type { CollectionLog } from "../log/storage.ts"
import type { Saving } from "../saving.ts"
import { Checkpoints } from "./checkpoints.ts"
import type { Checkpoint } from "./manifest.ts"
import type { Restoring } from "./restoring.ts"
import { makeTransferring, type Transferring } from "./transferring.ts"

/** What a database in a folder can do with checkpoints. In memory all of it fails with `InvalidParameter`. */
export interface Checkpointing extends Transferring {
  /**
   * Saves every collection, also those that were not open, which are opened, and keeps the images under a name of 1 to
   * 64 letters, digits, hyphens and underscores. Images that did not change take no room a second time. A name that
   * is taken is an `InvalidParameter`.
   */
  readonly checkpoint: (name: string) => Effect.Effect<Checkpoint, SabineError>
  /** The checkpoints of the folder, oldest first. */
  readonly listCheckpoints: () => Effect.Effect<ReadonlyArray<Checkpoint>, SabineError>
  /** Takes a checkpoint away; fails with `CheckpointNotFound`. */
  readonly deleteCheckpoint: (name: string) => Effect.Effect<void, SabineError>
  /**
   * All collections go back to a checkpoint, together: those that are not in it are gone, a crash leaves all or none.
   * Collections that were opened before fail with `CollectionReplaced` from then on: open them again by their names.
   * Fails with `CheckpointNotFound`, or with `ImageInvalid` when an image of the checkpoint is damaged; nothing has
   * changed then.
   */
  readonly restore: (checkpoint: string) => Effect.Effect<void, SabineError>
}

/** An open collection that is saved. */
export interface Saved {
  readonly saving: Saving
  readonly log: CollectionLog
  /** Ends what runs in the background for it. */
  readonly scope: Scope.Closeable
}

interface Parts {
  readonly kernels: Kernels
  readonly folder: string
  readonly restoring: Restoring
  /** Opens every collection; their names. */
  readonly openAll: Effect.Effect<ReadonlyArray<string>, SabineError>
  /** The collections that are open. */
  readonly open: Map<string, { readonly saved: Saved | undefined }>
  /** Runs an effect while no collection is opened, over a folder that is whole. */
  readonly alone: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
}

/** What fails because there is no folder. */
export const nowhere = Effect.fail(
  new InvalidParameter({ parameter: "path", reason: "a database in memory has nowhere to be saved" })
)

export const inMemory: Checkpointing = {
  checkpoint: () => nowhere,
  listCheckpoints: () => nowhere,
  deleteCheckpoint: () => nowhere,
  restore: () => nowhere,
  export: () => nowhere,
  import: () => nowhere
}

export const makeCheckpointing = ({ kernels, folder, restoring, openAll, open, alone }: Parts): Checkpointing => {
  const checkpoints = new Checkpoints(kernels, folder)

  const saveInto = Effect.fnUntraced(function* (target: Checkpoints, name: string) {
    const all = yield* openAll
    const saveTo = (each: string, path: string) => Effect.runPromise(open.get(each)!.saved!.saving.saveTo(path))
    return yield* abortable(() => target.make(name, all, saveTo))
  })

  /** Runs an effect while none of these collections is written to. */
  const whileAtRest = <A>(collections: ReadonlyArray<Saved>, effect: Effect.Effect<A, SabineError>) =>
    collections.reduce((inner, { saving }) => saving.alone(inner), effect)

  const replaceBy = Effect.fnUntraced(function* (
    source: Checkpoints,
    name: string,
    collections: ReadonlyArray<RestoredCollection>
  ) {
    const opened = [...open.values()].flatMap(({ saved }) => saved ?? [])
    const begin = abortable(async () => {
      await restoring.begin(source, name, collections)
      for (const { log } of opened) log.isReplaced = true
    })
    yield* whileAtRest(opened, begin)
    open.clear()
    for (const { scope } of opened) yield* Scope.close(scope, Exit.void)
    yield* abortable(() => restoring.finish())
  }, Effect.uninterruptible)

  const restore = (name: string) =>
    Effect.flatMap(
      abortable(() => restoring.read(checkpoints, name)),
      (collections) => replaceBy(checkpoints, name, collections)
    )

  return {
    checkpoint: (name) => alone(saveInto(checkpoints, name)),
    listCheckpoints: () => alone(abortable(() => checkpoints.list())),
    deleteCheckpoint: (name) => alone(abortable(() => checkpoints.delete(name))),
    restore: (name) => alone(restore(name)),
    ...makeTransferring({ kernels, folder, restoring, checkpoints, alone, saveInto, replaceBy })
  }
}
