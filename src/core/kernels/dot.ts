/** Dot product of a query with a stored vector: the score of cosine and dot. */

/**
 * Four sums in f64, free of any order a SIMD variant would have to keep: float kernels agree
 * within the error budget only.
 */
export const dotF32 = (query: Float32Array, vectors: Float32Array, from: number, dimensions: number): number => {
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  let i = 0
  for (; i + 4 <= dimensions; i += 4) {
    a += query[i]! * vectors[from + i]!
    b += query[i + 1]! * vectors[from + i + 1]!
    c += query[i + 2]! * vectors[from + i + 2]!
    d += query[i + 3]! * vectors[from + i + 3]!
  }
  for (; i < dimensions; i++) a += query[i]! * vectors[from + i]!
  return a + b + (c + d)
}

/** The same with halves, widened by the table of `f16Values`. */
export const dotF16 = (
  query: Float32Array,
  halves: Uint16Array,
  from: number,
  dimensions: number,
  values: Float32Array
): number => {
  let even = 0
  let odd = 0
  let i = 0
  for (; i + 2 <= dimensions; i += 2) {
    even += query[i]! * values[halves[from + i]!]!
    odd += query[i + 1]! * values[halves[from + i + 1]!]!
  }
  if (i < dimensions) even += query[i]! * values[halves[from + i]!]!
  return even + odd
}
