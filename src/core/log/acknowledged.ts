/**
 * How far a log reached, in a file beside it. SQLite takes whatever follows the first page of its write-ahead log that
 * does not agree for writes that a loss of power interrupted: where such a page was damaged, this alone tells that more
 * had been there.
 *
 * It is written after each commit and not flushed itself: what a crash leaves of it may say less than the log holds and
 * never more, and then it tells nothing. Of commits that were not flushed it tells until the machine starts again: the
 * system has them, and only a loss of power takes them.
 */
import { closeSync, constants, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import { bootName } from "../boot.ts"
import type { Kernels } from "../kernels/contract.ts"
import { codeOf, isUnreadable } from "../store/system-codes.ts"

/** Number of a frame, u64, of which start of the machine it tells, u32, and the CRC32C of these bytes. */
const BYTES = 16
const [BOOT, CHECKSUM] = [8, 12]
/** In place of a start: the log was flushed, and it tells of every one. */
const FLUSHED = 0

const pathOf = (log: string): string => `${log}.flushed`

export class Acknowledged {
  readonly #kernels: Pick<Kernels, "crc32c">
  readonly #path: string
  readonly #bytes = Buffer.alloc(BYTES)
  /** This start of the machine; undefined where it has no name. */
  readonly #boot: number | undefined
  #file: number | undefined
  #isLost = false

  constructor(kernels: Pick<Kernels, "crc32c">, log: string) {
    this.#kernels = kernels
    this.#path = pathOf(log)
    const name = bootName()
    this.#boot = name === undefined ? undefined : kernels.crc32c(Buffer.from(name)) || 1
  }

  /** Number of a frame that the log had; 0 where nothing tells. Throws what the system refuses to be read. */
  read(): number {
    let bytes: Buffer
    try {
      bytes = readFileSync(this.#path)
    } catch (error) {
      const code = codeOf(error as NodeJS.ErrnoException)
      if (code === "ENOENT" || isUnreadable(code)) return 0
      throw error
    }
    if (bytes.length !== BYTES) return 0
    const boot = bytes.readUInt32LE(BOOT)
    const holds =
      bytes.readUInt32LE(CHECKSUM) === this.#kernels.crc32c(bytes.subarray(0, CHECKSUM)) &&
      (boot === FLUSHED || boot === this.#boot)
    return holds ? Number(bytes.readBigUInt64LE()) : 0
  }

  /** The log has everything up to a frame, on the disk when that was flushed. */
  note(number: number, isFlushed: boolean): void {
    const boot = isFlushed ? FLUSHED : this.#boot
    if (this.#isLost || boot === undefined) return
    try {
      this.#write(number, boot)
    } catch {
      // The log has it, and that is what was asked for: what this says stays true.
      this.#isLost = true
    }
  }

  /** Numbers will start anew: nothing may be left that says otherwise, whatever happens. */
  forget(): void {
    this.#write(0, FLUSHED)
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

  #write(number: number, boot: number): void {
    this.#file ??= openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o644)
    this.#bytes.writeBigUInt64LE(BigInt(number))
    this.#bytes.writeUInt32LE(boot, BOOT)
    this.#bytes.writeUInt32LE(this.#kernels.crc32c(this.#bytes.subarray(0, CHECKSUM)), CHECKSUM)
    const written = writeSync(this.#file, this.#bytes, 0, BYTES, 0)
    if (written < BYTES) throw new Error("the file took half of it")
  }
}
