/** Writing an archive. */
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { basename } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { constants, createGzip, createZstdCompress } from "node:zlib"
import type { createTarPacker } from "modern-tar"
import type { Kernels } from "../kernels/contract.ts"
import { fails } from "../store/file-failure.ts"
import { replaceFile } from "../store/replace-file.ts"
import { type ArchiveFormat, CHUNK_BYTES, type ExportOptions, MANIFEST } from "./archive.ts"
import { type Checkpoint, encodeManifest } from "./manifest.ts"

interface Packing {
  readonly kernels: Pick<Kernels, "crc32c">
  /** What the archive says of itself. */
  readonly checkpoint: Checkpoint
  readonly imageOf: (collection: string) => string
  readonly format: ArchiveFormat
  readonly onProgress: ExportOptions["onProgress"]
}

/** Writes the archive of a checkpoint at `path`, whole or not at all; what had that name is gone. */
export const pack = (path: string, { format, ...packing }: Packing, signal: AbortSignal): Promise<void> =>
  replaceFile(path, async (file) => {
    // Loaded where it is needed: opening a database is not.
    const tar = await import("modern-tar")
    const { readable, controller } = tar.createTarPacker()
    const filling = fill(controller, packing).catch((error: unknown) => controller.error(error))
    try {
      const write = async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) await file.writeFile(chunk).catch(fails("write", path))
      }
      await pipeline(Readable.fromWeb(readable), compressor(format), write, { signal })
    } finally {
      await filling
    }
  })

const compressor = (format: ArchiveFormat) =>
  format === "gzip"
    ? createGzip({ chunkSize: CHUNK_BYTES })
    : createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_checksumFlag]: 1 } })

const fill = async (
  controller: ReturnType<typeof createTarPacker>["controller"],
  { kernels, checkpoint, imageOf, onProgress }: Omit<Packing, "format">
): Promise<void> => {
  const mtime = new Date(checkpoint.time)
  const add = async (name: string, size: number, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
    const entry = controller.add({ name, size, type: "file", mtime }).getWriter()
    for await (const chunk of chunks) await entry.write(chunk)
    await entry.close()
  }
  let done = 0
  const counted = async function* (path: string): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
        done += chunk.length
        onProgress?.(done, checkpoint.bytes)
        yield chunk
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      fails("read", path)(error as NodeJS.ErrnoException)
    }
  }
  const manifest = encodeManifest(kernels, checkpoint)
  await add(MANIFEST, manifest.length, [manifest])
  for (const collection of checkpoint.collections) {
    const image = imageOf(collection)
    const { size } = await stat(image).catch(fails("stat", image))
    await add(basename(image), size, counted(image))
  }
  controller.finalize()
}
