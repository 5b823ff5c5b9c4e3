/** Memory for calls: small arrays of exactly their size, so that a guard behind them is met, and large ones that are used again. */
import { kernels } from "../../src/core/native.ts"
import { randomBits } from "../property/kernels/random.ts"

const ALIGNMENT = 64
/** Larger views come from a pool: there is no time to make them anew. */
const SMALL_BYTES = 1 << 14
const NOISE_BYTES = 1 << 16

const bits = randomBits(0xb0da)
/** No word has its highest bit: in the words of graph nodes that means that somebody writes the node, which one waits for. */
const noise = Uint8Array.from({ length: NOISE_BYTES }, (_, i) => (i % 4 === 3 ? bits() & 0x7f : bits()))
const pool = new Map<string, Uint8Array>()

/** Shared bytes that start on a multiple of 64 and end where their buffer does, or soon before. */
export const alignedBytes = (length: number): Uint8Array => {
  const view = new Uint8Array(new SharedArrayBuffer(length + ALIGNMENT))
  const pad = kernels.alignmentPad(view, ALIGNMENT)
  return view.subarray(pad, pad + length)
}

const fill = (view: Uint8Array): Uint8Array => {
  for (let at = 0; at < view.length; at += NOISE_BYTES) view.set(noise.subarray(0, view.length - at), at)
  return view
}

/** Aligned noise of a length: those of one `slot` are the same memory. */
export const noiseBytes = (length: number, slot: number): Uint8Array => {
  const key = `${length} ${slot}`
  const known = pool.get(key)
  if (known !== undefined) return known
  const made = fill(alignedBytes(length))
  pool.set(key, made)
  return made
}

/** The same, as it was before anything was written to it. */
export const freshBytes = (length: number, slot: number): Uint8Array => fill(noiseBytes(length, slot))

/** Small numbers of either sign; large ones where `from` is odd. */
export const floats = (length: number, from: number): Float32Array => {
  const bytes = length * 4 <= SMALL_BYTES ? new Uint8Array(length * 4) : noiseBytes(length * 4, from % 2)
  const view = new Float32Array(bytes.buffer, bytes.byteOffset, length)
  const large = from % 2 === 0 ? 128 : 2 ** -20
  for (let i = 0; i < length; i++) view[i] = (noise[(from + i) % NOISE_BYTES]! - 127.5) / large
  return view
}

/** Whole numbers below `bound`. */
export const numbers = (length: number, bound: number, from: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => (noise[(from + i) % NOISE_BYTES]! * 257) % bound)
