/** What an archive of a checkpoint is: a tar file of its manifest and then each of its images, compressed. */
import type { Limits } from "../limits.ts"
import type { Checkpoint } from "./manifest.ts"

/** Name of the first entry. Those of the images are the names of their files. */
export const MANIFEST = "manifest"
/** Bytes of files and entries that are read or compressed at once. */
export const CHUNK_BYTES = 1 << 18

export const ARCHIVE_FORMATS = ["zstd", "gzip"] as const
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number]

/** What an archive holds. */
export type ArchiveContents = Omit<Checkpoint, "name">

export interface ExportOptions extends Limits {
  /** Name of a checkpoint to export. Default: every collection as it is now. */
  readonly checkpoint?: string | undefined
  /** How the archive is compressed. Default `"zstd"`. */
  readonly format?: ArchiveFormat | undefined
  /** Called with the bytes of images that were read so far, and all there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** `signal` and `timeout` are of reading the archive: once all of it is found good they come too late. */
export interface ImportOptions extends Limits {
  /** Bytes of images that are unpacked at most, 1 or more. Default: half of what is free on the disk. */
  readonly maxBytes?: number | undefined
  /** Called with the bytes of images that were unpacked so far, and all that the archive says there are. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}
