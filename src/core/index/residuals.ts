/** Rows of a sample less its mean and divided by its scale, a few rows or a few components at a time. */

/** Rows of a chunk: sums of so many f32 products lose little to rounding. */
const CHUNK_ROWS = 1024

export interface Residuals {
  readonly rows: number
  readonly dimensions: number
  /** Components `[start, end)` of every row, row-major. */
  readonly part: (start: number, end: number) => Float32Array
  /** Calls `visit` with every row, row-major, a chunk at a time; the chunk is reused by the next call. */
  readonly forEachChunk: (visit: (chunk: ResidualChunk) => void) => void
}

interface ResidualChunk {
  /** Rows before this chunk. */
  readonly from: number
  readonly rows: number
  /** `rows x dimensions`. */
  readonly vectors: Float32Array
}

/** Those of the rows `wanted` of a sample. */
export const residualsOf = (
  sample: Float32Array,
  wanted: ReadonlyArray<number>,
  mean: Float32Array,
  factorScale: number
): Residuals => {
  const dimensions = mean.length
  const scale = 1 / factorScale
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
      const vectors = new Float32Array(Math.min(rows, CHUNK_ROWS) * dimensions)
      for (let from = 0; from < rows; from += CHUNK_ROWS) {
        const to = Math.min(rows, from + CHUNK_ROWS)
        const chunk = vectors.subarray(0, (to - from) * dimensions)
        visit({ from, rows: to - from, vectors: fill(from, to, 0, dimensions, chunk) })
      }
    }
  }
}

export const meanOf = (sample: Float32Array, dimensions: number, rows: ReadonlyArray<number>): Float32Array => {
  const sum = new Float64Array(dimensions)
  for (const row of rows) {
    for (let i = 0; i < dimensions; i++) sum[i] = sum[i]! + sample[row * dimensions + i]!
  }
  return Float32Array.from(sum, (x) => x / rows.length)
}
