/** The packed records of a damaged image: which of them, and how much of each, is as it was written. */
import { recordFits } from "../../kernels/packed.ts"
import { NAMESPACE_BYTES, NAMESPACE_MARK, RECORD_UNIT, recordCapacity, recordSizes } from "../records.ts"
import type { Damage } from "./intact.ts"

/** What of a record holds. */
interface IntactRecord {
  /** The key without its namespace. */
  readonly key: string
  readonly keyBytes: Uint8Array
  /** Dictionary code of its namespace, 0 for none. */
  readonly scope: number
  /** Whether the payload holds too. */
  readonly isWhole: boolean
}

export class IntactRecords {
  readonly #words: Uint32Array
  readonly #bytes: Buffer
  /** Damaged bytes, in order. */
  readonly #damages: ReadonlyArray<Damage>

  constructor(packed: SharedArrayBuffer, damages: ReadonlyArray<Damage>) {
    this.#words = new Uint32Array(packed)
    this.#bytes = Buffer.from(packed)
    this.#damages = damages.filter(({ range }) => range.section === "records")
  }

  get areWhole(): boolean {
    return this.#damages.length === 0
  }

  /** The record at an address; undefined where its key does not hold. */
  at(address: number): IntactRecord | undefined {
    const start = address * RECORD_UNIT
    if (!this.#holds(start, start + 1) || !recordFits(this.#words, address)) return undefined
    const { header, key, payload } = recordSizes(this.#words, address)
    const end = start + header + key
    if (!this.#holds(start, end)) return undefined
    const keyBytes = this.#bytes.subarray(start + header, end)
    const isScoped = keyBytes[0] === NAMESPACE_MARK
    return {
      key: keyBytes.toString("utf8", isScoped ? NAMESPACE_BYTES : 0),
      keyBytes,
      scope: isScoped ? keyBytes.readUInt32LE(1) : 0,
      isWhole: this.#holds(start, end + payload)
    }
  }

  /** Addresses of all records, one after another; undefined when they cannot be told. */
  walk(): ReadonlyArray<number> | undefined {
    if (!this.areWhole) return undefined
    const found: Array<number> = []
    const units = this.#bytes.length / RECORD_UNIT
    for (let address = 0; address < units; ) {
      if (!recordFits(this.#words, address)) return undefined
      found.push(address)
      address += recordCapacity(this.#words, address)
    }
    return found
  }

  #holds(from: number, to: number): boolean {
    return to <= this.#bytes.length && !this.#damages.some((damage) => damage.from < to && from < damage.to)
  }
}
