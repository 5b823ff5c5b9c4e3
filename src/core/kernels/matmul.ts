/**
 * Matrix product with every operation rounded to f32 in a fixed order, so its bits are the same
 * on every machine: encoders depend on them.
 */
import { requireLayout } from "./refusal.ts"

/** Columns a pass: as many running sums as stay in registers. */
const TILE = 8

/** `c[m x n] = a[m x k] b[k x n]`, row-major, each element summed over `k` in order. */
export const matmul = (a: Float32Array, b: Float32Array, c: Float32Array, m: number, k: number, n: number): void => {
  requireLayout(a.length >= m * k && b.length >= k * n && c.length >= m * n, "a matrix is shorter than its shape")
  const tiled = n - (n % TILE)
  for (let column = 0; column < tiled; column += TILE) {
    for (let row = 0; row < m; row++) multiplyTile(a, row * k, b, column, c, row * n + column, k, n)
  }
  for (let column = tiled; column < n; column++) {
    for (let row = 0; row < m; row++) c[row * n + column] = element(a, row * k, b, column, k, n)
  }
}

const { fround } = Math

/** `TILE` elements of a row: a tile of `b` stays in the first-level cache for all rows of `a`. */
const multiplyTile = (
  a: Float32Array,
  aFrom: number,
  b: Float32Array,
  bFrom: number,
  c: Float32Array,
  cFrom: number,
  k: number,
  n: number
): void => {
  let c0 = 0
  let c1 = 0
  let c2 = 0
  let c3 = 0
  let c4 = 0
  let c5 = 0
  let c6 = 0
  let c7 = 0
  for (let p = 0, at = bFrom; p < k; p++, at += n) {
    const x = a[aFrom + p]!
    c0 = fround(c0 + fround(x * b[at]!))
    c1 = fround(c1 + fround(x * b[at + 1]!))
    c2 = fround(c2 + fround(x * b[at + 2]!))
    c3 = fround(c3 + fround(x * b[at + 3]!))
    c4 = fround(c4 + fround(x * b[at + 4]!))
    c5 = fround(c5 + fround(x * b[at + 5]!))
    c6 = fround(c6 + fround(x * b[at + 6]!))
    c7 = fround(c7 + fround(x * b[at + 7]!))
  }
  c[cFrom] = c0
  c[cFrom + 1] = c1
  c[cFrom + 2] = c2
  c[cFrom + 3] = c3
  c[cFrom + 4] = c4
  c[cFrom + 5] = c5
  c[cFrom + 6] = c6
  c[cFrom + 7] = c7
}

const element = (a: Float32Array, aFrom: number, b: Float32Array, bFrom: number, k: number, n: number): number => {
  let sum = 0
  for (let p = 0; p < k; p++) sum = fround(sum + fround(a[aFrom + p]! * b[bFrom + p * n]!))
  return sum
}
