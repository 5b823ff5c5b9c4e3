/** Says to `native/faultfs`, which this process runs under, which of its file operations are to fail. */
import { closeSync, openSync, readSync, writeSync } from "node:fs"

const control = openSync(process.env["FAULTFS_CONTROL"]!, "r+")

/** The folder whose files are meant. */
export const folder = process.env["FAULTFS_FOLDER"]!

/** Calls `from` to `to` from now on, and the errno that they fail with, 0 for half of the bytes. */
export interface Fault {
  readonly from: number
  readonly to: number
  readonly code: number
}

/** Makes these of the calls from now on fail; none without a range. */
export const arm = ({ from, to, code }: Fault = { from: 0, to: 0, code: 0 }): void => {
  const words = BigUint64Array.of(0n, BigInt(from), BigInt(code), 0n, BigInt(to), 0n)
  writeSync(control, new Uint8Array(words.buffer), 0, words.byteLength, 0)
}

/** Calls since then, those of them that failed, and those of these that were to read. */
export const callsAndFaults = (): readonly [calls: number, faults: number, reads: number] => {
  const words = new BigUint64Array(6)
  readSync(control, new Uint8Array(words.buffer), 0, words.byteLength, 0)
  return [Number(words[0]), Number(words[3]), Number(words[5])]
}

/** Nothing fails any more. */
export const disarm = (): void => closeSync(control)
