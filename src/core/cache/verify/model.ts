/** The model that ships with the package: read once a process. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { ImageInvalid, StorageFailure } from "../../errors.ts"
import { FEATURES } from "./features.ts"
import { DEPTH, type Forest } from "./forest.ts"

/** A model as it lies in its file: arrays in base64, little-endian. */
interface ModelFile {
  readonly id: string
  /** Names of the features in the order of a row: those of this version, or the file is of another. */
  readonly features: ReadonlyArray<string>
  readonly depth: number
  readonly base: number
  readonly nodeFeatures: string
  readonly nodeThresholds: string
  readonly leaves: string
}

interface Model {
  readonly id: string
  readonly forest: Forest
}

/** The same depth from `src/core/cache/verify` and from `dist/core/cache/verify`. */
const folder = new URL("../../../../data/verifier/", import.meta.url)
const MODEL = "model.json"

const unpackModel = (file: ModelFile): Model => {
  const forest: Forest = {
    depth: DEPTH,
    base: file.base,
    features: new Uint8Array(decoded(file.nodeFeatures)),
    thresholds: new Float32Array(decoded(file.nodeThresholds)),
    leaves: new Float32Array(decoded(file.leaves))
  }
  const trees = forest.leaves.length / 2 ** forest.depth
  const inner = trees * (2 ** forest.depth - 1)
  const fits =
    file.depth === DEPTH &&
    forest.features.length === inner &&
    forest.thresholds.length === inner &&
    Number.isInteger(trees)
  if (!fits || file.features.join() !== FEATURES.join()) {
    const reason = fits ? "it has other features than this version" : "its arrays do not fit together"
    throw new ImageInvalid({ path: fileURLToPath(new URL(MODEL, folder)), field: "features", from: 0, to: 0, reason })
  }
  return { id: file.id, forest }
}

/** In memory of its own: the pool of small buffers is aligned to nothing. */
const decoded = (text: string): ArrayBuffer => Uint8Array.from(Buffer.from(text, "base64")).buffer

/** Reads a file of JSON that ships with the package. */
export const readShipped = async <A>(name: string): Promise<A> => {
  const url = new URL(name, folder)
  try {
    return JSON.parse(await readFile(url, "utf8"))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "UNKNOWN"
    throw new StorageFailure({ operation: "read", path: fileURLToPath(url), code, cause })
  }
}

let loading: Promise<Model> | undefined

/** The shipped model; a failed read is tried again by the next call. */
export const shippedModel = (): Promise<Model> => {
  loading ??= readShipped<ModelFile>(MODEL)
    .then(unpackModel)
    .catch((error) => {
      loading = undefined
      throw error
    })
  return loading
}
