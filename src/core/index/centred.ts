/**
 * A sample of vectors seen less its mean and scaled, a few rows or a few components at a time: neither vectors near 1e-30
 * nor near 1e30 leave the range of f32 in what follows, and no second copy of the whole sample is made.
 */

/** Rows of a chunk: sums of so many f32 products lose little to rounding. */
const CHUNK_ROWS = 1024

export interface Residuals {
  readonly rows: number
  readonly dimensions: number
  /** Components `[start, end)` of every row, row-major. */
  readonly part: (start: number, end: number) => Float32Array
  /** Calls `visit` with every row, a chunk at a time; what it is given is reused by the next call. */
  readonly forEachChunk: (visit: (chunk: ResidualChunk) => void) => void
}

export interface ResidualChunk {
  /** Rows before this chunk. */
  readonly from: number
  readonly rows: number
  /** `rows x dimensions`. */
  readonly vectors: Float32Array
  /** The same as `dimensions x rows`. */
  readonly transposed: () => Float32Array
}

/** The transpose of `matrix`, `rows x columns`, into `out`. */
export const transpose = (matrix: Float32Array, rows: number, columns: number, out: Float32Array): Float32Array => {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = matrix[row * columns + column]!
  }
  return out
}

/** Mean of the rows `wanted` of a sample. */
export const meanOf = (sample: Float32Array, dimensions: number, wanted: ReadonlyArray<number>): Float32Array => {
  const sum = new Float64Array(dimensions)
  for (const row of wanted) {
    for (let i = 0; i < dimensions; i++) sum[i] = sum[i]! + sample[row * dimensions + i]!
  }
  return Float32Array.from(sum, (x) => x / wanted.length)
}

/** Root-mean-square length of the rows about `mean`. */
export const spread = (sample: Float32Array, mean: Float32Array): number => {
  const dimensions = mean.length
  const rows = sample.length / dimensions
  let sum = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dimensions; i++) {
      const x = sample[row * dimensions + i]! - mean[i]!
      sum += x * x
    }
  }
  return Math.sqrt(sum / rows)
}

/** The rows `wanted` of a sample, less its mean and times `scale`. */
export const residualsOf = (
  sample: Float32Array,
  wanted: ReadonlyArray<number>,
  mean: Float32Array,
  scale: number
): Residuals => {
  const dimensions = mean.length
  const fill = (from: number, to: number, start: number, end: number, out: Float32Array): Float32Array => {
    let at = 0
    for (let i = from; i < to; i++) {
      const row = wanted[i]! * dimensions
      for (let j = start; j < end; j++) out[at++] = (sample[row + j]! - mean[j]!) * scale
    }
    return out
  }
  const rows = wanted.length
  return {
    rows,
    dimensions,
    part: (start, end) => fill(0, rows, start, end, new Float32Array(rows * (end - start))),
    forEachChunk: (visit) => {
      const size = Math.min(rows, CHUNK_ROWS) * dimensions
      const whole = new Float32Array(size)
      let turned: Float32Array | undefined
      for (let from = 0; from < rows; from += CHUNK_ROWS) {
        const to = Math.min(rows, from + CHUNK_ROWS)
        const vectors = fill(from, to, 0, dimensions, whole.subarray(0, (to - from) * dimensions))
        const transposed = () => {
          turned ??= new Float32Array(size)
          return transpose(vectors, to - from, dimensions, turned.subarray(0, vectors.length))
        }
        visit({ from, rows: to - from, vectors, transposed })
      }
    }
  }
}

/** All rows of a sample about their mean, scaled to unit root-mean-square length. */
export const centre = (
  sample: Float32Array,
  dimensions: number
): { readonly mean: Float32Array; readonly residuals: Residuals } => {
  const all = Array.from({ length: sample.length / dimensions }, (_, row) => row)
  const mean = meanOf(sample, dimensions, all)
  const length = spread(sample, mean)
  return { mean, residuals: residualsOf(sample, all, mean, length > 0 ? 1 / length : 0) }
}
