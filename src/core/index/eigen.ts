/**
 * Eigenvectors of a symmetric matrix: Householder's reduction to three diagonals, then QL steps with implicit shifts
 * (Bowdler, Martin, Reinsch and Wilkinson, Numerische Mathematik 11, 1968). f64 loops of + - * / and square roots in a
 * fixed order: the same matrix gives the same bits on every machine.
 */

/** Steps after which an eigenvalue is taken as it is: two or three are usual. */
const MOST_STEPS = 60

interface Eigen {
  /** In decreasing order. */
  readonly values: Float64Array
  /** Row `i` is the eigenvector of value `i`, of length 1. */
  readonly vectors: ReadonlyArray<Float64Array>
}

/** Of a symmetric `matrix`, `size x size`, whose entries are finite and near 1 in size, or smaller. */
export const symmetricEigen = (matrix: ArrayLike<number>, size: number): Eigen => {
  const rows = Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (_, j) => matrix[i * size + j]!)
  )
  const diagonal = new Float64Array(size)
  const beside = new Float64Array(size)
  const vectors = tridiagonalise(rows, diagonal, beside)
  diagonalise(diagonal, beside, vectors)
  const order = Array.from({ length: size }, (_, i) => i).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b)
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: order.map((i) => vectors[i]!) }
}

const dot = (x: Float64Array, y: Float64Array, from: number): number => {
  let sum = 0
  for (let i = from; i < x.length; i++) sum += x[i]! * y[i]!
  return sum
}

/** `x - a y - b z` in place, from component `from` on. */
const subtract = (x: Float64Array, from: number, y: Float64Array, a: number, z: Float64Array, b: number): void => {
  for (let i = from; i < x.length; i++) x[i]! -= a * y[i]! + b * z[i]!
}

/**
 * Reduces `rows` to a diagonal and the one beside it, `beside[i]` between `i` and `i + 1`. What is returned are the rows
 * of the rotation `Q` for which `Q^T rows Q` has these diagonals, transposed: row `i` is column `i` of `Q`.
 */
const tridiagonalise = (
  rows: ReadonlyArray<Float64Array>,
  diagonal: Float64Array,
  beside: Float64Array
): Array<Float64Array> => {
  const size = rows.length
  /** The reflection of each step, `x - 2 <x, v> v`, zero before its step. */
  const reflections: Array<Float64Array | undefined> = []
  const product = new Float64Array(size)
  for (let k = 0; k < size - 1; k++) {
    diagonal[k] = rows[k]![k]!
    const v = rows[k]!.slice()
    v.fill(0, 0, k + 1)
    const length = Math.sqrt(dot(v, v, k + 1))
    const first = v[k + 1]!
    const end = first > 0 ? -length : length
    beside[k] = end
    v[k + 1] = first - end
    const squared = dot(v, v, k + 1)
    if (!(squared > 0)) {
      reflections.push(undefined)
      continue
    }
    const scale = 1 / Math.sqrt(squared)
    for (let i = k + 1; i < size; i++) v[i] = v[i]! * scale
    reflections.push(v)
    // A - 2 v w^T - 2 w v^T for p = A v and w = p - <p, v> v.
    for (let i = k + 1; i < size; i++) product[i] = dot(rows[i]!, v, k + 1)
    const along = dot(product, v, k + 1)
    for (let i = k + 1; i < size; i++) product[i] = product[i]! - along * v[i]!
    for (let i = k + 1; i < size; i++) subtract(rows[i]!, k + 1, product, 2 * v[i]!, v, 2 * product[i]!)
  }
  diagonal[size - 1] = rows[size - 1]![size - 1]!
  const columns = Array.from({ length: size }, (_, i) => new Float64Array(size).fill(1, i, i + 1))
  for (let k = size - 2; k >= 0; k--) {
    const v = reflections[k]
    if (v === undefined) continue
    // Reflections of later steps have filled what lies beyond k.
    for (let i = k + 1; i < size; i++) {
      const column = columns[i]!
      const along = 2 * dot(column, v, k + 1)
      for (let j = k + 1; j < size; j++) column[j]! -= along * v[j]!
    }
  }
  return columns
}

/** Makes what is beside the diagonal zero, and turns `vectors` along. */
const diagonalise = (diagonal: Float64Array, beside: Float64Array, vectors: Array<Float64Array>): void => {
  const size = diagonal.length
  for (let low = 0; low < size; low++) {
    for (let step = 0; step < MOST_STEPS; step++) {
      let high = low
      while (high < size - 1 && !isNegligible(beside[high]!, diagonal[high]!, diagonal[high + 1]!)) high++
      if (high === low) break
      chase(diagonal, beside, vectors, low, high)
    }
  }
}

const isNegligible = (beside: number, a: number, b: number): boolean => {
  const scale = Math.abs(a) + Math.abs(b)
  return Math.abs(beside) + scale === scale
}

/** `sqrt(a^2 + b^2)` of numbers whose squares are in range. */
const length2 = (a: number, b: number): number => Math.sqrt(a * a + b * b)

/** Turns two vectors in their plane. */
const turn = (x: Float64Array, y: Float64Array, sine: number, cosine: number): void => {
  for (let k = 0; k < x.length; k++) {
    const before = x[k]!
    const after = y[k]!
    y[k] = sine * before + cosine * after
    x[k] = cosine * before - sine * after
  }
}

/** One QL step on rows `low` to `high`, shifted by the eigenvalue of the first two that is nearer to the first. */
const chase = (
  diagonal: Float64Array,
  beside: Float64Array,
  vectors: Array<Float64Array>,
  low: number,
  high: number
): void => {
  const ratio = (diagonal[low + 1]! - diagonal[low]!) / (2 * beside[low]!)
  const root = length2(ratio, 1)
  let g = diagonal[high]! - diagonal[low]! + beside[low]! / (ratio + (ratio >= 0 ? root : -root))
  let sine = 1
  let cosine = 1
  let carried = 0
  for (let i = high - 1; i >= low; i--) {
    const f = sine * beside[i]!
    const b = cosine * beside[i]!
    const r = length2(f, g)
    beside[i + 1] = r
    if (r === 0) {
      diagonal[i + 1] = diagonal[i + 1]! - carried
      beside[high] = 0
      return
    }
    sine = f / r
    cosine = g / r
    g = diagonal[i + 1]! - carried
    const t = (diagonal[i]! - g) * sine + 2 * cosine * b
    carried = sine * t
    diagonal[i + 1] = g + carried
    g = cosine * t - b
    turn(vectors[i]!, vectors[i + 1]!, sine, cosine)
  }
  diagonal[low] = diagonal[low]! - carried
  beside[low] = g
  beside[high] = 0
}
