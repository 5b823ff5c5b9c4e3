/**
 * A sample of vectors seen centred and scaled to unit root-mean-square length, a few rows at a
 * time: neither vectors near 1e-30 nor near 1e30 leave the range of f32 in what follows, and no
 * second copy of the whole sample is made.
 */

/** Rows of a chunk: sums of so many f32 products lose little to rounding. */
const CHUNK_ROWS = 1024

export interface CentredSample {
  readonly rows: number
  readonly dimensions: number
  readonly mean: Float32Array
  /** Calls `visit` with the centred rows of each chunk, row-major and transposed; both are reused by the next call. */
  readonly forEachChunk: (visit: (chunk: CentredChunk) => void) => void
}

interface CentredChunk {
  /** Rows before this chunk. */
  readonly from: number
  readonly rows: number
  /** `rows x dimensions`. */
  readonly vectors: Float32Array
  /** `dimensions x rows`. */
  readonly transposed: Float32Array
}

/** The transpose of `matrix`, `rows x columns`, into `out`. */
export const transpose = (matrix: Float32Array, rows: number, columns: number, out: Float32Array): Float32Array => {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = matrix[row * columns + column]!
  }
  return out
}

const meanOf = (sample: Float32Array, rows: number, dimensions: number): Float32Array => {
  const sum = new Float64Array(dimensions)
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dimensions; i++) sum[i] = sum[i]! + sample[row * dimensions + i]!
  }
  return Float32Array.from(sum, (x) => x / rows)
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

export const centre = (sample: Float32Array, dimensions: number): CentredSample => {
  const rows = sample.length / dimensions
  const mean = meanOf(sample, rows, dimensions)
  const length = spread(sample, mean)
  const scale = length > 0 ? 1 / length : 0
  const forEachChunk = (visit: (chunk: CentredChunk) => void): void => {
    const size = Math.min(rows, CHUNK_ROWS) * dimensions
    const vectors = new Float32Array(size)
    const transposed = new Float32Array(size)
    for (let from = 0; from < rows; from += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, rows - from)
      for (let row = 0; row < count; row++) {
        for (let i = 0; i < dimensions; i++) {
          vectors[row * dimensions + i] = (sample[(from + row) * dimensions + i]! - mean[i]!) * scale
        }
      }
      const chunk = vectors.subarray(0, count * dimensions)
      visit({
        from,
        rows: count,
        vectors: chunk,
        transposed: transpose(chunk, count, dimensions, transposed.subarray(0, chunk.length))
      })
    }
  }
  return { rows, dimensions, mean, forEachChunk }
}
