/** Signs of vectors, and by how many of them two differ: a share of the angle between them (Charikar, STOC 2002). */
import { bitsSet } from "./bits.ts"

/** A bit for each component, set where it is below 0. */
export const signsOf = (vector: Float32Array): Uint32Array => {
  const bits = new Uint32Array(Math.ceil(vector.length / 32))
  for (let c = 0; c < vector.length; c++) if (vector[c]! < 0) bits[c >>> 5]! |= 1 << (c & 31)
  return bits
}

/** Bits by which two sketches of one length differ. */
export const differing = (a: Uint32Array, b: Uint32Array): number => {
  let count = 0
  for (let w = 0; w < a.length; w++) count += bitsSet(a[w]! ^ b[w]!)
  return count
}

/** The cosine, within .0002, of the angle that so many of `dimensions` bits are a share of. */
export const cosineOf = (bits: number, dimensions: number): number => {
  const x = 1 - (2 * bits) / dimensions
  const xx = x * x
  return x * (1.5706268 - xx * (0.6432292 - xx * 0.0727102))
}
