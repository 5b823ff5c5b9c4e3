/** What images still hold of a collection, newest first. */
import { shapeOfImage } from "../collection/encoding.ts"
import type { CollectionShape } from "../collection/options.ts"
import { ImageInvalid, StorageFailure } from "../errors.ts"
import { kernels } from "../native.ts"
import { isRefusal } from "../store/file-failure.ts"
import type { GraphOptions } from "../store/graph-columns.ts"
import type { RowParts } from "../store/image/survivors.ts"
import { loadImage } from "../store/image.ts"
import type { ImagePaths } from "../store/image-pair.ts"
import { isThere } from "../store/is-there.ts"
import type { FieldTypes } from "../store/layout.ts"
import { salvageImage } from "../store/salvage-image.ts"
import type { Store } from "../store/store.ts"

/** The rows of one image. */
export interface Source {
  readonly store: Store
  readonly shape: CollectionShape
  readonly generation: number
  /** Number of the newest frame that it holds. */
  readonly watermark: number
  readonly graph: GraphOptions | undefined
  /** Whether every row of it is there. */
  readonly isWhole: boolean
  /** Rows that were live when it was written. */
  readonly live: number
  /** What is left of the rows that are not. */
  readonly parts: ReadonlyArray<RowParts>
  readonly needsCodes: boolean
}

/** The images of which anything holds, up to the newest that is whole. */
export const sourcesOf = async (
  { newest, previous }: ImagePaths,
  fields: FieldTypes | undefined
): Promise<ReadonlyArray<Source>> => {
  const found: Array<Source> = []
  for (const path of [newest, previous]) {
    const source = (await isThere(path)) ? await sourceOf(path, fields) : undefined
    if (source !== undefined) found.push(source)
    if (source?.isWhole) break
  }
  return found
}

const sourceOf = async (path: string, fields: FieldTypes | undefined): Promise<Source | undefined> => {
  try {
    const { store, meta, graph } = await loadImage(kernels, path)
    const { generation, embedder, watermark = 0 } = meta
    const shape = shapeOfImage({ shape: store.shape, encoder: store.codes.encoder, embedder })
    const { live } = store.directory
    return { store, shape, generation, watermark, graph, isWhole: true, live, parts: [], needsCodes: false }
  } catch (error) {
    if (!(error instanceof ImageInvalid || error instanceof StorageFailure) || isRefusal(error)) throw error
  }
  const { salvaged } = await salvageImage(kernels, path, fields)
  if (salvaged === undefined) return undefined
  const { store, identity, meta, graph, live, parts, needsCodes } = salvaged
  return { store, shape: shapeOfImage(identity), ...meta, graph, isWhole: false, live, parts, needsCodes }
}
