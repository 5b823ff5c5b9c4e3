/** How something grows with time, and how sure that is: what a line through measurements says. */

export interface Growth {
  /** What the line says of the first moment. */
  readonly first: number
  /** Per cent of that in an hour. */
  readonly percent: number
  /**
   * Standard error of `percent`. Measurements that lie close together err together: they count as fewer, as many as their
   * lag-one correlation leaves.
   */
  readonly error: number
}

const HOUR_MS = 3_600_000

/** Least squares through measurements that lie `everyMs` apart, three at least. */
export const growthOf = (values: Float64Array, everyMs: number): Growth => {
  const count = values.length
  const middle = (count - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const spread = (count * (count * count - 1)) / 12
  const slope = values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0) / spread
  const rest = values.map((value, i) => value - mean - slope * (i - middle))
  const squares = rest.reduce((sum, value) => sum + value * value, 0)
  const products = rest.subarray(1).reduce((sum, value, i) => sum + value * rest[i]!, 0)
  const correlation = squares === 0 ? 0 : Math.max(0, products / squares)
  const error = Math.sqrt((squares / (count - 2) / spread) * ((1 + correlation) / (1 - correlation)))
  const first = mean - slope * middle
  const toPercent = (100 * HOUR_MS) / everyMs / first
  return { first, percent: slope * toPercent, error: error * toPercent }
}
