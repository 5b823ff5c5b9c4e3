/**
 * Reading an archive, which anybody may have made: only the entries that its manifest names, in order, under names
 * that are made here; no more bytes than the manifest says, and no more than may be or than the disk has room for.
 */
import { type FileHandle, open, statfs } from "node:fs/promises"
import { basename } from "node:path"
import { buffer } from "node:stream/consumers"
import { pipeline } from "node:stream/promises"
import { createGunzip, createZstdDecompress } from "node:zlib"
import type { ParsedTarEntry } from "modern-tar"
import { ImportInvalid, isSabineError, StorageFailure } from "../errors.ts"
import { imagePaths } from "../folder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { fails } from "../store/file-failure.ts"
import { readVectored } from "../store/image/vectored.ts"
import { CHUNK_BYTES, type ImportOptions, MANIFEST } from "./archive.ts"
import type { Checkpoints } from "./checkpoints.ts"
import { type Checkpoint, decodeManifest } from "./manifest.ts"

/** Names of collections for some ten thousand of them. */
const MOST_MANIFEST_BYTES = 1 << 20
/** Bytes of a tar file beside its entries: what is buffered before the manifest is known, headers, and padding. */
const SLACK_BYTES = 1 << 23
const SLACK_BYTES_AN_ENTRY = 1 << 12

interface Unpacking extends Pick<ImportOptions, "maxBytes" | "onProgress"> {
  readonly kernels: Pick<Kernels, "crc32c">
  /** The folder whose disk is to have room. */
  readonly folder: string
  readonly target: Checkpoints
  /** Of the checkpoint that is made. */
  readonly name: string
}

/** Makes a checkpoint of an archive, or fails and makes none. Its images are as they came: whether they are whole is open. */
export const unpack = async (path: string, unpacking: Unpacking, signal: AbortSignal): Promise<Checkpoint> => {
  const file = await open(path).catch(fails("open", path))
  try {
    const decompressor = await decompressorFor(path, file)
    // Loaded where it is needed: opening a database is not.
    const tar = await import("modern-tar")
    const { readable, writable } = tar.createTarDecoder({ strict: true })
    const [reader, writer] = [readable.getReader(), writable.getWriter()]
    const archive = new ArchiveReader(path, reader, unpacking)
    const stop = new AbortController()
    const feed = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) {
        archive.count(chunk.length)
        await writer.write(chunk)
      }
      await writer.close()
    }
    const source = file.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK_BYTES })
    const feeding = pipeline(source, decompressor, feed, { signal: AbortSignal.any([signal, stop.signal]) })
    // Whoever reads meets it there.
    const fed = feeding.catch((error: unknown) => writer.abort(error).catch(() => undefined))
    try {
      return await archive.unpack()
    } catch (error) {
      throw named(path, error)
    } finally {
      await reader.cancel().catch(() => undefined)
      stop.abort()
      await fed
    }
  } finally {
    await file.close().catch(fails("close", path))
  }
}

const decompressorFor = async (path: string, file: FileHandle) => {
  const bytes = Buffer.alloc(4)
  await readVectored(file, [bytes], 0).catch(fails("read", path))
  const start = bytes.toString("hex")
  if (start.startsWith("1f8b")) return createGunzip({ chunkSize: CHUNK_BYTES })
  if (start === "28b52ffd") return createZstdDecompress({ chunkSize: CHUNK_BYTES })
  throw new ImportInvalid({ path, field: "file", reason: "it is compressed by neither gzip nor zstd" })
}

/** What the decompressor and the decoder throw of bytes that they do not take are plain errors. */
const named = (path: string, error: unknown): unknown => {
  if (isSabineError(error) || !(error instanceof Error) || error instanceof TypeError) return error
  if (error.name === "AbortError") return error
  const { syscall, code } = error as NodeJS.ErrnoException
  if (syscall !== undefined) return new StorageFailure({ operation: "read", path, code: String(code), cause: error })
  return new ImportInvalid({ path, field: "file", reason: error.message })
}

class ArchiveReader {
  readonly #path: string
  readonly #entries: ReadableStreamDefaultReader<ParsedTarEntry>
  readonly #unpacking: Unpacking
  /** Bytes of the tar file that may still come. */
  #room = SLACK_BYTES
  /** Bytes of images that were unpacked. */
  #done = 0

  constructor(path: string, entries: ReadableStreamDefaultReader<ParsedTarEntry>, unpacking: Unpacking) {
    this.#path = path
    this.#entries = entries
    this.#unpacking = unpacking
  }

  /** Bytes of the tar file were read. */
  count(bytes: number): void {
    this.#room -= bytes
    if (this.#room < 0) throw this.#invalid("length", "it is longer than its manifest says")
  }

  async unpack(): Promise<Checkpoint> {
    const { kernels, target, name, onProgress } = this.#unpacking
    const { header, body } = await this.#next(MANIFEST)
    if (header.size > MOST_MANIFEST_BYTES) throw this.#invalid("length", "its manifest is too long")
    const manifest = await buffer(body)
    const found = decodeManifest(kernels, manifest, (reason) => this.#invalid("manifest", reason))
    await this.#checkRoom(found.bytes)
    this.#room += found.bytes + SLACK_BYTES_AN_ENTRY * found.collections.length
    await target.make(name, found.collections, async (collection, to) => {
      const entry = await this.#next(basename(imagePaths("", collection).newest))
      await this.#write(entry, to, () => onProgress?.(this.#done, found.bytes))
    })
    if (this.#done !== found.bytes) throw this.#invalid("length", "its images are not as long as its manifest says")
    if (!(await this.#entries.read()).done) throw this.#invalid("file", "it has more than its manifest names")
    return found
  }

  async #next(name: string): Promise<ParsedTarEntry> {
    const { value } = await this.#entries.read()
    if (value === undefined) throw this.#invalid("file", `${name} is missing`)
    if (value.header.type === "file" && value.header.name === name) return value
    throw this.#invalid("file", `it has another entry where ${name} is to be`)
  }

  async #checkRoom(bytes: number): Promise<void> {
    const { folder, maxBytes = Number.POSITIVE_INFINITY } = this.#unpacking
    if (bytes > maxBytes) throw this.#invalid("length", `its images have ${bytes} bytes, and ${maxBytes} may be`)
    const { bavail, bsize } = await statfs(folder).catch(fails("stat", folder))
    // Of each image a second is kept.
    if (2 * bytes <= bavail * bsize) return
    const cause = `twice ${bytes} bytes of images, and ${bavail * bsize} bytes are free`
    throw new StorageFailure({ operation: "import", path: folder, code: "ENOSPC", cause })
  }

  async #write({ body }: ParsedTarEntry, to: string, progress: () => void): Promise<void> {
    const file = await open(to, "wx").catch(fails("open", to))
    try {
      for await (const chunk of body) {
        await file.writeFile(chunk).catch(fails("write", to))
        this.#done += chunk.length
        progress()
      }
      await file.sync().catch(fails("fsync", to))
    } finally {
      await file.close().catch(fails("close", to))
    }
  }

  #invalid(field: string, reason: string): ImportInvalid {
    return new ImportInvalid({ path: this.#path, field, reason })
  }
}
