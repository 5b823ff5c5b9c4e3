/** The two newest images of a collection: the log reaches back to the older, so either alone loses nothing. */
import { ImageInvalid, StorageFailure } from "../errors.ts"
import type { Kernels } from "../kernels/contract.ts"
import { type ImageIdentity, type LoadedImage, loadImage } from "./image.ts"
import { isThere } from "./is-there.ts"

/** Where the images of a collection are. */
export interface ImagePaths {
  readonly newest: string
  readonly previous: string
}

interface ChosenImage extends LoadedImage {
  /** What is wrong with the newest image, where the one before it was taken, or either without its indexes. */
  readonly fault: ImageInvalid | StorageFailure | undefined
  /** Whether it is the newest. */
  readonly isNewest: boolean
}

/** Whether an image is whole and of a version that this program does not know: its place is not for an older one to take. */
const isOfAnotherVersion = (error: unknown): boolean => error instanceof ImageInvalid && error.field === "version"

/**
 * Reads the newest image that is whole, or else whole but for its indexes; undefined when there is none at all. Fails as
 * `loadImage` does when there are some and none is, or the newest is of a version that is not known.
 */
export const loadNewest = async (
  kernels: Kernels,
  { newest, previous }: ImagePaths,
  accept: (identity: ImageIdentity) => void
): Promise<ChosenImage | undefined> => {
  let fault: ImageInvalid | StorageFailure | undefined
  for (const path of [newest, previous]) {
    if (!(await isThere(path))) continue
    try {
      return { ...(await loadImage(kernels, path, accept)), fault, isNewest: path === newest }
    } catch (error) {
      if (!(error instanceof ImageInvalid || error instanceof StorageFailure) || isOfAnotherVersion(error)) throw error
      fault ??= error
    }
  }
  if (fault === undefined) return undefined
  // Lists and graph can be made anew of the rows: where nothing else is damaged they are left behind.
  for (const path of [newest, previous]) {
    if (!(await isThere(path))) continue
    const loaded = await loadImage(kernels, path, accept, false).catch((error) => {
      if (!(error instanceof ImageInvalid || error instanceof StorageFailure)) throw error
      return undefined
    })
    if (loaded !== undefined) return { ...loaded, fault, isNewest: path === newest }
  }
  throw fault
}
