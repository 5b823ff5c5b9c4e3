/**
 * Room ahead in the write-ahead log. A flush that makes a file longer waits for the file system to write down its length
 * and its blocks too, which takes half as long again: where zeros were written before, pages are all there is to write.
 * SQLite takes zeros for the end of the log, and goes over the file again and again once it was moved.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs"

/** Bytes of zeros that are written at once: as many as the file has, between these. */
const [LEAST, MOST] = [1 << 16, 1 << 20]

export class WalRoom {
  readonly #path: string
  /** The file is made no longer than this. */
  readonly #limit: number
  /** Bytes that the log takes, at most: all that are there, until more is known. */
  #used = Number.POSITIVE_INFINITY
  /** Bytes that the file is known to have. */
  #bytes = 0

  constructor(log: string, limit: number) {
    this.#path = `${log}-wal`
    this.#limit = limit
  }

  /** Called before so many bytes are written, or nobody can tell how many. */
  reserve(bytes = Number.POSITIVE_INFINITY): void {
    this.#used += bytes
    if (this.#used <= this.#bytes || this.#bytes >= this.#limit || bytes > MOST) return
    try {
      this.#grow(bytes)
    } catch {
      // Whoever writes meets what is wrong with the disk, if it is in the way at all. Until the log is emptied it is not
      // asked for again.
      this.#bytes = this.#limit
    }
  }

  /** The file was emptied. */
  emptied(): void {
    this.#used = 0
    this.#bytes = 0
  }

  #grow(bytes: number): void {
    const file = openSync(this.#path, constants.O_WRONLY)
    try {
      const { size } = fstatSync(file)
      this.#used = Math.min(this.#used - bytes, size) + bytes
      const zeros = Buffer.alloc(Math.min(MOST, Math.max(LEAST, size)))
      this.#bytes = size
      if (size < this.#limit) this.#bytes += writeSync(file, zeros, 0, zeros.length, size)
    } finally {
      closeSync(file)
    }
  }
}
