/** The folder of a database: the names of the files in it. */
import { readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { InvalidParameter } from "./errors.ts"
import { fails } from "./store/file-failure.ts"
import type { ImagePaths } from "./store/image-pair.ts"

const IMAGE = ".image"
const PREVIOUS_IMAGE = ".previous.image"
/** Files that take another name once they are whole, and what is left of those that wanted the lock. */
const UNFINISHED = /\.(image|clean)\.tmp$|^lock\.[\da-f-]+$/
const NAME = /^[A-Za-z0-9_-]{1,64}$/

/** The files of a collection; `InvalidParameter` when the name could leave the folder. */
export const imagePaths = (folder: string, collection: string): ImagePaths => {
  checkName(collection)
  return { newest: join(folder, collection + IMAGE), previous: join(folder, collection + PREVIOUS_IMAGE) }
}

/** The log of every collection. */
export const logPath = (folder: string): string => join(folder, "records.sqlite")

export const checkName = (collection: string): void => {
  if (typeof collection === "string" && NAME.test(collection)) return
  throw new InvalidParameter({ parameter: "name", reason: "wanted 1 to 64 letters, digits, hyphens and underscores" })
}

/** Collections that were saved in the folder. */
export const savedCollections = async (folder: string): Promise<ReadonlyArray<string>> => {
  const files = await readdir(folder).catch(fails("read", folder))
  const names = [PREVIOUS_IMAGE, IMAGE].flatMap((end) =>
    files.filter((file) => file.endsWith(end)).map((file) => file.slice(0, -end.length))
  )
  return [...new Set(names)].filter((name) => NAME.test(name)).sort()
}

/** Removes what a writer that was ended had not finished. */
export const removeUnfinished = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch(fails("read", folder))
  for (const name of names.filter((name) => UNFINISHED.test(name))) {
    const path = join(folder, name)
    await rm(path, { force: true }).catch(fails("remove", path))
  }
}
