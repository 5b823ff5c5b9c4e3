/** CRC-32C (Castagnoli), RFC 3720 B.4: eight bytes a step, with one table for each of them. */
import { requireLayout } from "./refusal.ts"

const POLYNOMIAL = 0x82f6_3b78
const SLICES = 8

/** `TABLES[s * 256 + b]`: what byte `b` adds when `s` bytes follow it in the step. */
const TABLES = new Int32Array(SLICES * 256)
for (let byte = 0; byte < 256; byte++) {
  let rest = byte
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1
  TABLES[byte] = rest
}
for (let at = 256; at < TABLES.length; at++) {
  const shorter = TABLES[at - 256]!
  TABLES[at] = (shorter >>> 8) ^ TABLES[shorter & 0xff]!
}

/** State of a checksum over no bytes. */
const EMPTY = -1

/** State after `view[from .. to)`. */
const extend = (state: number, view: Uint8Array, from: number, to: number): number => {
  let crc = state
  let at = from
  for (; at + SLICES <= to; at += SLICES) {
    const head = crc ^ (view[at]! | (view[at + 1]! << 8) | (view[at + 2]! << 16) | (view[at + 3]! << 24))
    crc =
      TABLES[0x700 | (head & 0xff)]! ^
      TABLES[0x600 | ((head >>> 8) & 0xff)]! ^
      TABLES[0x500 | ((head >>> 16) & 0xff)]! ^
      TABLES[0x400 | (head >>> 24)]! ^
      TABLES[0x300 | view[at + 4]!]! ^
      TABLES[0x200 | view[at + 5]!]! ^
      TABLES[0x100 | view[at + 6]!]! ^
      TABLES[view[at + 7]!]!
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ TABLES[(crc ^ view[at]!) & 0xff]!
  return crc
}

/** The checksum of a state. */
const finish = (state: number): number => ~state >>> 0

export const crc32c = (view: Uint8Array): number => finish(extend(EMPTY, view, 0, view.length))

export const crc32cBlocks = (view: Uint8Array, blockBytes: number, out: Uint32Array): void => {
  requireBlocks(view, blockBytes, out)
  for (let block = 0, from = 0; from < view.length; block++, from += blockBytes) {
    out[block] = finish(extend(EMPTY, view, from, Math.min(from + blockBytes, view.length)))
  }
}

/** A millisecond or two of work: what the event loop can spare at once. */
const SLICE_BYTES = 1 << 19

export const verifyBlocks = async (view: Uint8Array, blockBytes: number, expected: Uint32Array): Promise<number> => {
  requireBlocks(view, blockBytes, expected)
  let spent = 0
  for (let block = 0, from = 0; from < view.length; block++, from += blockBytes) {
    const to = Math.min(from + blockBytes, view.length)
    let state = EMPTY
    for (let at = from; at < to; ) {
      if (spent >= SLICE_BYTES) {
        await new Promise((resume) => setImmediate(resume))
        spent = 0
      }
      const until = Math.min(to, at + SLICE_BYTES - spent)
      state = extend(state, view, at, until)
      spent += until - at
      at = until
    }
    if (finish(state) !== expected[block]) return block
  }
  return -1
}

const requireBlocks = (view: Uint8Array, blockBytes: number, checksums: Uint32Array): void => {
  requireLayout(blockBytes > 0, "blockBytes must be positive")
  requireLayout(checksums.length >= Math.ceil(view.length / blockBytes), "one checksum a block is needed")
}
