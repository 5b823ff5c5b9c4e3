/** Platt's line from the log-odds of a model to those of the truth, on look-ups that it was not trained on. */
import type { Forest } from "../../src/core/cache/verify/forest.ts"
import type { Scored } from "./measure.ts"

interface Platt {
  readonly slope: number
  readonly offset: number
}

const NEWTON_STEPS = 30

/** The line that makes the best candidates of look-ups as likely right as they say, by Newton's method. */
export const fittedPlatt = (lookUps: ReadonlyArray<Scored>): Platt => {
  let slope = 1
  let offset = 0
  const known = lookUps.flatMap(({ score, right }) => (score === undefined ? [] : [{ score, label: right ? 1 : 0 }]))
  for (let step = 0; step < NEWTON_STEPS; step++) {
    const sums = { a: 0, b: 0, aa: 1e-9, ab: 0, bb: 1e-9 }
    for (const { score, label } of known) {
      const p = 1 / (1 + Math.exp(-slope * score - offset))
      const weight = p * (1 - p)
      sums.a += (p - label) * score
      sums.b += p - label
      sums.aa += weight * score * score
      sums.ab += weight * score
      sums.bb += weight
    }
    const determinant = sums.aa * sums.bb - sums.ab * sums.ab
    slope -= (sums.bb * sums.a - sums.ab * sums.b) / determinant
    offset -= (sums.aa * sums.b - sums.ab * sums.a) / determinant
  }
  return { slope, offset }
}

/** The forest whose log-odds are on the line. */
export const recalibrated = (forest: Forest, { slope, offset }: Platt): Forest => ({
  ...forest,
  base: slope * forest.base + offset,
  leaves: forest.leaves.map((leaf) => slope * leaf)
})
