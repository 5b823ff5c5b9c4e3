/**
 * Going back to a checkpoint, in steps that an opening can finish: one transaction names the checkpoint in the log, takes
 * every frame out of it and says what the images of the checkpoint hold; then the images take their places; then the
 * name is taken out. Up to the transaction nothing has changed, after it nothing can be lost.
 */
import { rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { shapeOfImage } from "../collection/encoding.ts"
import { ImageInvalid } from "../errors.ts"
import { imagePaths, savedCollections } from "../folder.ts"
import type { Kernels } from "../kernels/contract.ts"
import type { RestoredCollection } from "../log/schema.ts"
import type { Storage } from "../log/storage.ts"
import { told } from "../salvage/untold.ts"
import { fails } from "../store/file-failure.ts"
import { loadImage } from "../store/image.ts"
import { isThere } from "../store/is-there.ts"
import { duplicate, linkFile } from "../store/link-file.ts"
import { syncFolder } from "../store/replace-file.ts"
import { type CheckpointKind, Checkpoints } from "./checkpoints.ts"

/** No database has counted this far, and beyond it there would be no numbers left to count with. */
const MOST = 2 ** 52

export class Restoring {
  readonly #kernels: Kernels
  readonly #folder: string
  readonly #storage: Storage
  /** Whether the images in place are those that the log speaks of. */
  #isWhole = false
  /** Whether what earlier exports and imports left was removed. */
  #isTidy = false

  constructor(kernels: Kernels, folder: string, storage: Storage) {
    this.#kernels = kernels
    this.#folder = folder
    this.#storage = storage
  }

  /** What the log is to say of the collections of a checkpoint, once each image was read and found whole. */
  async read(checkpoints: Checkpoints, name: string): Promise<ReadonlyArray<RestoredCollection>> {
    const found: Array<RestoredCollection> = []
    for (const collection of (await checkpoints.read(name)).collections) {
      let shape = ""
      const path = checkpoints.imageOf(name, collection)
      const { meta } = await loadImage(this.#kernels, path, (identity) => {
        shape = JSON.stringify(shapeOfImage(identity))
      })
      if (meta.generation > MOST || (meta.watermark ?? 0) > MOST) {
        throw new ImageInvalid({ path, field: "watermark", from: 0, to: 0, reason: `it counts beyond ${MOST}` })
      }
      found.push({ name: collection, shape, folded: meta.watermark ?? 0 })
    }
    return found
  }

  /** Decides for a checkpoint that was read, while nobody writes: when this fails nothing has changed. */
  async begin(checkpoints: Checkpoints, name: string, collections: ReadonlyArray<RestoredCollection>): Promise<void> {
    this.#isWhole = false
    await this.#storage.restore(`${checkpoints.kind}/${name}`, collections)
  }

  /** Finishes what was begun, in this process or in one that ended. Done twice it ends where once did. */
  async finish(): Promise<void> {
    if (this.#isWhole) return
    const restoring = await this.#storage.restoring()
    if (restoring !== undefined) {
      const [kind, name] = restoring.split("/") as [CheckpointKind, string]
      // The images must not be older than the log after a loss of power.
      await this.#storage.flush()
      await this.#putInPlace(new Checkpoints(this.#kernels, this.#folder, kind), name)
      // What an interrupted salvage lost is of the state before.
      await told(this.#folder)
      await this.#storage.restored()
    }
    const transfer = join(this.#folder, "transfer" satisfies CheckpointKind)
    if (!this.#isTidy && (await isThere(transfer))) {
      await rm(transfer, { recursive: true, force: true }).catch(fails("remove", transfer))
    }
    this.#isTidy = true
    this.#isWhole = true
  }

  async #putInPlace(checkpoints: Checkpoints, checkpoint: string): Promise<void> {
    const wanted = new Set(await this.#storage.names())
    for (const name of wanted) {
      const { newest, previous } = imagePaths(this.#folder, name)
      const image = checkpoints.imageOf(checkpoint, name)
      // A collection has two images, and its log reaches back to the older: damage to the link must not reach both.
      await replace(previous, (temporary) => duplicate(image, temporary))
      await replace(newest, (temporary) => linkFile(image, temporary))
    }
    for (const name of await savedCollections(this.#folder)) {
      if (wanted.has(name)) continue
      const { newest, previous } = imagePaths(this.#folder, name)
      await remove(newest)
      await remove(previous)
    }
    await syncFolder(this.#folder)
  }
}

const replace = async (path: string, make: (temporary: string) => Promise<void>): Promise<void> => {
  const temporary = `${path}.tmp`
  await make(temporary)
  await rename(temporary, path).catch(fails("rename", path))
  // Two names of one file are not moved: the temporary one stays.
  await remove(temporary)
}

const remove = (path: string): Promise<void> => rm(path, { force: true }).catch(fails("remove", path))
