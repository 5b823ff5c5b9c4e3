/**
 * Projections to the 256 components whose signs are the code, before anything is learned from
 * the vectors. Row-major, `dimensions x 256`.
 */
import { CODE_BITS } from "../store/layout.ts"
import { drawDirection, orthonormalise } from "./orthonormal.ts"
import { pcg64 } from "./pcg64.ts"
import { fillStandardNormal } from "./standard-normal.ts"

/** Seed of the published binary semantic cache. */
export const PUBLISHED_SEED = 42
/**
 * Square root of 256: rows of as many standard normals divided by it have length 1 on average,
 * which the estimate relies on.
 */
const PUBLISHED_SCALE = 16

/**
 * The projection of the published binary semantic cache, whose codes other programs share:
 * `default_rng(42).standard_normal((dimensions, 256), dtype=float32)`. Dividing by a power of
 * two is exact and leaves every sign as published.
 */
export const publishedProjection = (dimensions: number): Float32Array =>
  fillStandardNormal(pcg64(PUBLISHED_SEED), new Float32Array(dimensions * CODE_BITS)).map((x) => x / PUBLISHED_SCALE)

/**
 * A random orthogonal projection: orthonormal columns from 256 dimensions on, orthonormal rows
 * below, so that lengths are kept as well as they can be.
 */
export const orthogonalProjection = (dimensions: number, seed: number): Float32Array => {
  const source = pcg64(seed)
  const projection = new Float32Array(dimensions * CODE_BITS)
  drawDirection(source, projection)
  return orthonormalise(projection, dimensions, CODE_BITS, source)
}

/**
 * The orthogonal projection stretched so that it keeps squared lengths on average: from 256
 * dimensions on it sees only `256 / dimensions` of them. Estimates from its codes are then
 * unbiased, which matters where no stored vector corrects them.
 */
export const seededProjection = (dimensions: number, seed: number): Float32Array => {
  const projection = orthogonalProjection(dimensions, seed)
  if (dimensions <= CODE_BITS) return projection
  const stretch = Math.sqrt(dimensions / CODE_BITS)
  return projection.map((x) => x * stretch)
}
