/**
 * Room ahead in the write-ahead log. A flush that makes a file longer waits for the file system to write down its length
 * and its blocks too, which takes half as long again: where zeros were written before, pages are all there is to write.
 * SQLite takes zeros for the end of the log, and goes over the file again and again once it was moved.
 */
import { closeSync, constants, fstatSync, openSync, statfsSync, writeSync } from "node:fs"
import { writtenBytes } from "./wal-file.ts"

/** Bytes of zeros that are written at once: as many as the log has, between these. */
const [LEAST, MOST] = [1 << 16, 1 << 20]
/** Those are written where the disk has so many times as much free: what fills it finds room for all that it had without them. */
const FREE = 16

export class WalRoom {
  readonly #path: string
  /** The file is made no longer than this. */
  readonly #limit: number
  /** Bytes that may be written before the file is looked at again. */
  #left = 0

  constructor(log: string, limit: number) {
    this.#path = `${log}-wal`
    this.#limit = limit
  }

  /** Called before so many bytes are written, or nobody can tell how many: for those no room is made. */
  reserve(bytes = Number.POSITIVE_INFINITY): void {
    this.#left -= bytes
    if (this.#left >= 0 || bytes > MOST) return
    try {
      this.#left = this.#grow(bytes)
    } catch {
      // Whoever writes meets what is wrong with the disk, if it is in the way at all.
      this.#left = MOST
    }
  }

  /** The file was emptied. */
  emptied(): void {
    this.#left = 0
  }

  /** Bytes that may be written after these before the next look. */
  #grow(bytes: number): number {
    const file = openSync(this.#path, constants.O_RDWR)
    try {
      const { size } = fstatSync(file)
      const used = writtenBytes(file, size) + bytes
      if (used <= size) return size - used
      const wanted = Math.min(MOST, Math.max(LEAST, used), this.#limit - size)
      const { bavail, bsize } = statfsSync(this.#path)
      if (wanted <= 0 || bavail * bsize < FREE * wanted) return MOST
      return size + writeSync(file, Buffer.alloc(wanted), 0, wanted, size) - used
    } finally {
      closeSync(file)
    }
  }
}
