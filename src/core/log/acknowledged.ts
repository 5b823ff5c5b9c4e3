/**
 * How far a log was flushed, in a file beside it. SQLite takes whatever follows the first page of its write-ahead log that
 * does not agree for writes that a loss of power interrupted: where such a page was damaged, this alone tells that more
 * had been there.
 *
 * It is written after each flush and not flushed itself: what a crash leaves of it may say less than the log holds and
 * never more, and then it tells nothing.
 */
import { closeSync, constants, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import type { Kernels } from "../kernels/contract.ts"

/** Number of a frame, u64, and the CRC32C of these bytes. */
const BYTES = 12
const NUMBER_BYTES = 8

const pathOf = (log: string): string => `${log}.flushed`

export class Acknowledged {
  readonly #kernels: Pick<Kernels, "crc32c">
  readonly #path: string
  readonly #bytes = Buffer.alloc(BYTES)
  #file: number | undefined
  #isLost = false

  constructor(kernels: Pick<Kernels, "crc32c">, log: string) {
    this.#kernels = kernels
    this.#path = pathOf(log)
  }

  /** Number of a frame that the log had on the disk; 0 where nothing tells. */
  read(): number {
    try {
      const bytes = readFileSync(this.#path)
      const number = bytes.subarray(0, NUMBER_BYTES)
      const holds = bytes.length === BYTES && bytes.readUInt32LE(NUMBER_BYTES) === this.#kernels.crc32c(number)
      return holds ? Number(number.readBigUInt64LE()) : 0
    } catch {
      return 0
    }
  }

  /** The log has everything up to a frame on the disk. */
  note(number: number): void {
    if (this.#isLost) return
    try {
      this.#write(number)
    } catch {
      // The log has it, and that is what was asked for: what this says stays true.
      this.#isLost = true
    }
  }

  /** Numbers will start anew: nothing may be left that says otherwise, whatever happens. */
  forget(): void {
    this.#write(0)
    fdatasyncSync(this.#file!)
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  /** The log is marked as closed, which says more. */
  remove(): void {
    rmSync(this.#path, { force: true })
  }

  #write(number: number): void {
    this.#file ??= openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o644)
    this.#bytes.writeBigUInt64LE(BigInt(number))
    this.#bytes.writeUInt32LE(this.#kernels.crc32c(this.#bytes.subarray(0, NUMBER_BYTES)), NUMBER_BYTES)
    const written = writeSync(this.#file, this.#bytes, 0, BYTES, 0)
    if (written < BYTES) throw new Error("the file took half of it")
  }
}
