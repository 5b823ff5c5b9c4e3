/**
 * Checkpoints: a folder of images under a name. Images are never changed in place, so a checkpoint is a link to each
 * of the newest ones, and a manifest, written last, without which there is no checkpoint.
 */
import { createReadStream } from "node:fs"
import { mkdir, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { CheckpointNotFound, ImageInvalid, InvalidParameter } from "../errors.ts"
import { checkName, imagePaths } from "../folder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { fails } from "../store/file-failure.ts"
import { isThere } from "../store/is-there.ts"
import { replaceFile, syncFolder } from "../store/replace-file.ts"
import { MANIFEST } from "./archive.ts"
import { type Checkpoint, decodeManifest, encodeManifest } from "./manifest.ts"

/** Where checkpoints are kept, or where those are that only an export or an import needs. */
export type CheckpointKind = "checkpoints" | "transfer"

/** The checkpoints of one folder. Nobody else calls for the same name at the same time. */
export class Checkpoints {
  readonly #kernels: Pick<Kernels, "crc32c">
  readonly #folder: string
  readonly kind: CheckpointKind

  constructor(kernels: Pick<Kernels, "crc32c">, folder: string, kind: CheckpointKind = "checkpoints") {
    this.#kernels = kernels
    this.#folder = folder
    this.kind = kind
  }

  /** Makes a checkpoint of collections whose images `saveTo` puts at a path, one by one; on failure there is none. */
  async make(
    name: string,
    collections: ReadonlyArray<string>,
    saveTo: (collection: string, path: string) => Promise<void>
  ): Promise<Checkpoint> {
    const path = this.#pathOf(name)
    if (await isThere(join(path, MANIFEST))) {
      throw new InvalidParameter({ parameter: "name", reason: `there is a checkpoint ${name}: delete it first` })
    }
    try {
      // Without a manifest it is what a crash left.
      await rm(path, { recursive: true, force: true }).catch(fails("remove", path))
      await mkdir(path, { recursive: true }).catch(fails("create", path))
      let bytes = 0
      for (const collection of collections) {
        const image = imagePaths(path, collection).newest
        await saveTo(collection, image)
        bytes += (await stat(image).catch(fails("stat", image))).size
      }
      for (const folder of [path, join(path, ".."), this.#folder]) await syncFolder(folder)
      const checkpoint = { name, time: Date.now(), bytes, collections }
      await this.#write(path, checkpoint)
      return checkpoint
    } catch (error) {
      // The first failure is the one to report: what stays has no manifest.
      await rm(path, { recursive: true, force: true }).catch(() => undefined)
      throw error
    }
  }

  /** All of them, oldest first; fails with `ImageInvalid` when the manifest of one is damaged. */
  async list(): Promise<ReadonlyArray<Checkpoint>> {
    const folder = join(this.#folder, this.kind)
    if (!(await isThere(folder))) return []
    const names = await readdir(folder).catch(fails("read", folder))
    const found: Array<Checkpoint> = []
    for (const name of names) if (await isThere(join(folder, name, MANIFEST))) found.push(await this.read(name))
    return found.sort((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1))
  }

  /** One of them; fails with `CheckpointNotFound`, or with `ImageInvalid` when its manifest is damaged. */
  async read(name: string): Promise<Checkpoint> {
    const path = join(this.#pathOf(name), MANIFEST)
    if (!(await isThere(path))) throw new CheckpointNotFound({ name })
    // `readFile` takes a read that returns less than it asked for as the end of the file.
    const bytes = await buffer(createReadStream(path)).catch(fails("read", path))
    const invalid = (reason: string) => new ImageInvalid({ path, field: "checksum", from: 0, to: bytes.length, reason })
    const checkpoint = decodeManifest(this.#kernels, bytes, invalid)
    if (checkpoint.name !== name) throw invalid(`it is the manifest of checkpoint ${checkpoint.name}`)
    return checkpoint
  }

  /** Takes one away, also when it is damaged; fails with `CheckpointNotFound`. */
  async delete(name: string): Promise<void> {
    const path = this.#pathOf(name)
    const manifest = join(path, MANIFEST)
    if (!(await isThere(manifest))) throw new CheckpointNotFound({ name })
    await rm(manifest).catch(fails("remove", manifest))
    await syncFolder(path)
    await rm(path, { recursive: true, force: true }).catch(fails("remove", path))
  }

  /** Where the image of a collection is kept. */
  imageOf(name: string, collection: string): string {
    return imagePaths(this.#pathOf(name), collection).newest
  }

  #write(path: string, checkpoint: Checkpoint): Promise<void> {
    const manifest = join(path, MANIFEST)
    return replaceFile(manifest, async (file) => {
      await file.writeFile(encodeManifest(this.#kernels, checkpoint)).catch(fails("write", manifest))
    })
  }

  #pathOf(name: string): string {
    checkName(name)
    return join(this.#folder, this.kind, name)
  }
}
