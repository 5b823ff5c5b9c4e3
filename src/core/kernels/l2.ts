/** Squared Euclidean distance of a query to a stored vector; the score of l2 is its negative. */

/** Summed in f64: float kernels agree within the error budget only. */
export const l2F32 = (query: Float32Array, vectors: Float32Array, from: number, dimensions: number): number => {
  let even = 0
  let odd = 0
  let i = 0
  for (; i + 2 <= dimensions; i += 2) {
    const first = query[i]! - vectors[from + i]!
    const second = query[i + 1]! - vectors[from + i + 1]!
    even += first * first
    odd += second * second
  }
  if (i < dimensions) {
    const last = query[i]! - vectors[from + i]!
    even += last * last
  }
  return even + odd
}

/** The same with halves, widened by the table of `f16Values`. */
export const l2F16 = (
  query: Float32Array,
  halves: Uint16Array,
  from: number,
  dimensions: number,
  values: Float32Array
): number => {
  let sum = 0
  for (let i = 0; i < dimensions; i++) {
    const difference = query[i]! - values[halves[from + i]!]!
    sum += difference * difference
  }
  return sum
}
