/**
 * Writes `sums`, scaled to unit length, at `out[at]`; false, and nothing written, when it has no
 * direction. `sums.length` is a multiple of 4.
 *
 * The squared norm is summed in four f64 lanes, lane `l` over `c = l mod 4` in increasing `c`,
 * then `(0 + 1) + (2 + 3)`; each component is multiplied by `1 / sqrt(norm)` in f64 and rounded to
 * f32 once. So the bits are the same on every machine.
 */
export const writeNormalised = (sums: Float64Array, out: Float32Array, at: number): boolean => {
  let n0 = 0
  let n1 = 0
  let n2 = 0
  let n3 = 0
  for (let c = 0; c < sums.length; c += 4) {
    n0 += sums[c]! * sums[c]!
    n1 += sums[c + 1]! * sums[c + 1]!
    n2 += sums[c + 2]! * sums[c + 2]!
    n3 += sums[c + 3]! * sums[c + 3]!
  }
  const norm = n0 + n1 + (n2 + n3)
  if (norm === 0) return false
  const inverse = 1 / Math.sqrt(norm)
  for (let c = 0; c < sums.length; c++) out[at + c] = sums[c]! * inverse
  return true
}
