/** Saved stores in folders of their own, for programs that open them in fresh processes. */
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Collection, type CollectionOptions, type CollectionStats, open } from "../src/index.ts"

export const COLLECTION = "saved"

export interface SavedStore extends AsyncDisposable {
  readonly folder: string
  readonly file: string
  readonly fileBytes: number
  readonly stats: CollectionStats
}

/** Saves what `fill` adds to a new collection; the folder goes when the result is disposed of. */
export const saveStore = async (
  options: CollectionOptions,
  fill: (collection: Collection) => Promise<void>
): Promise<SavedStore> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-bench-"))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await using db = await open(folder)
    const collection = await db.collection(COLLECTION, options)
    await fill(collection)
    await db.save()
    const file = join(folder, `${COLLECTION}.image`)
    const { size: fileBytes } = await stat(file)
    return { folder, file, fileBytes, stats: collection.stats(), [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}
