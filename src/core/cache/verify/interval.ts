/** Exact intervals of shares that were counted. */

/** A share, and the interval that holds the true one. */
export interface Estimate {
  readonly rate: number
  readonly low: number
  readonly high: number
}

/** Chance that an interval holds the true share, where nothing else is said. */
const CONFIDENCE = 0.95

/**
 * Clopper and Pearson's interval of `count` of `trials`: never narrower than it says. Without a trial it is 0 to 1, and
 * the rate is 0.
 */
export const clopperPearson = (count: number, trials: number, confidence = CONFIDENCE): Estimate => {
  if (trials === 0) return { rate: 0, low: 0, high: 1 }
  const tail = (1 - confidence) / 2
  return {
    rate: count / trials,
    low: count === 0 ? 0 : betaQuantile(tail, count, trials - count + 1),
    high: count === trials ? 1 : betaQuantile(1 - tail, count + 1, trials - count)
  }
}

/** Halvings that pin a quantile down to the last bits. */
const HALVINGS = 52

/** The `q` quantile of the beta distribution of two parameters above 0. */
const betaQuantile = (q: number, a: number, b: number): number => {
  let low = 0
  let high = 1
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2
    if (regularisedBeta(middle, a, b) < q) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The regularised incomplete beta function, by Lentz's continued fraction. */
const regularisedBeta = (x: number, a: number, b: number): number => {
  if (x <= 0) return 0
  if (x >= 1) return 1
  // The fraction converges fast on this side of the mean alone.
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a)
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a
  return front * fraction(x, a, b)
}

const STEPS = 1000
const TINY = 1e-300
const CLOSE = 1e-14

const fraction = (x: number, a: number, b: number): number => {
  const nonZero = (value: number) => (Math.abs(value) < TINY ? TINY : value)
  let c = 1
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1))
  let result = d
  for (let m = 1; m <= STEPS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / nonZero(1 + even * d)
    c = nonZero(1 + even / c)
    result *= c * d
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / nonZero(1 + odd * d)
    c = nonZero(1 + odd / c)
    result *= c * d
    if (Math.abs(c * d - 1) < CLOSE) break
  }
  return result
}

/** Lanczos' coefficients, g = 7. */
const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7
]

const logGamma = (x: number): number => {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const z = x - 1
  const sum = LANCZOS.reduce((total, coefficient, i) => total + coefficient / (z + i + 1), 0.9999999999998099)
  const t = z + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum)
}
