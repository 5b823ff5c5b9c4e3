/**
 * Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
 *
 * - A floor of relevance: the candidates that are met are the best by score, some more than half as many again as are chosen.
 *   Where those that are left are much more like what was chosen than the ones before them were, one below the floor may be
 *   worth more: as many again are met, and the choice is made anew.
 * - A sample of the chosen: beyond a number of them, not every one that is chosen is compared with what is left.
 * - Copies of what is met, of one byte a component, are what is compared.
 *
 * Where relevance decides less, or nearly all candidates would be met, the exact choice is made.
 */
import { quantise } from "./int8.ts"
import { METRIC } from "./shape.ts"

/** Candidates that are met for every two that are chosen, and those that are met anyway. */
const MET_TWO_CHOICES = 3
const MET_ANYWAY = 20
/** A loss that is let pass, as a part of what the best that was met is worth. */
const LET_PASS = Math.fround(0.01)
/** Of the chosen so many are compared with what is left, then every other one of as many, every third, and so on. */
const COMPARED = 128
/** Least weight of relevance, and where many are chosen: with less the furthest may be worth most, and all must be met. */
const LEAST_LAMBDA = 0.7
const LEAST_LAMBDA_OF_MANY = 0.8
const MANY = 64
/** Least number of candidates, and of candidates for each that is chosen: of fewer nearly all are looked at anyway. */
const LEAST_CANDIDATES = 65
const CANDIDATES_A_CHOICE = 4

/** Of candidates, best first, those that are worth most together. */
export interface Candidates {
  readonly scores: ArrayLike<number>
  /** The stored vectors as f32, one after the other. */
  readonly vectors: Float32Array
}

interface Choice {
  readonly dimensions: number
  readonly metric: number
  readonly keep: number
  readonly lambda: number
}

/** A vector of steps of one size. */
interface Copy {
  readonly steps: Int8Array
  readonly scale: number
  /** Squared length. */
  readonly squares: number
}

/** Whether a choice from a part of so many candidates keeps nearly all of its worth; the exact one is made where not. */
export const keepsWorth = ({ keep, lambda }: Pick<Choice, "keep" | "lambda">, count: number): boolean =>
  lambda >= (keep > MANY ? LEAST_LAMBDA_OF_MANY : LEAST_LAMBDA) &&
  count >= Math.max(LEAST_CANDIDATES, CANDIDATES_A_CHOICE * keep)

/** Positions of the chosen candidates in the order of the choice. */
export const chosenFast = (
  { scores, vectors }: Candidates,
  { dimensions, metric, keep, lambda }: Choice
): ReadonlyArray<number> => {
  const count = scores.length
  const copyOf = (at: number): Copy => {
    const steps = new Int8Array(dimensions)
    const scale = quantise(vectors, at * dimensions, dimensions, steps, 0)
    const isL2 = metric === METRIC.l2
    return { steps, scale, squares: isL2 ? times(integerDot(steps, steps), scale, scale) : 0 }
  }
  const score = (chosen: Copy, other: Copy): number => {
    const scale = metric === METRIC.l2 ? 2 * chosen.scale : chosen.scale
    const product = times(integerDot(chosen.steps, other.steps), other.scale, scale)
    return Math.fround(Math.fround(product - other.squares) - chosen.squares)
  }
  const relevance = Math.fround(lambda)
  const novelty = Math.fround(1 - relevance)
  const weighed = (weight: number, score: number) => Math.fround(weight * score)
  const copies: Array<Copy> = []
  /** Of those that are met: none if all that is left of them may be worth less than one that is not met. */
  const chosenOf = (met: number): ReadonlyArray<number> | undefined => {
    for (let at = copies.length; at < met; at++) copies.push(copyOf(at))
    const left = new Set(Array.from({ length: met }, (_, at) => at))
    /** The largest score that each has against one of the chosen. */
    const nearest = new Float32Array(met).fill(Number.NEGATIVE_INFINITY)
    const worth = (at: number) => Math.fround(weighed(relevance, scores[at]!) - weighed(novelty, nearest[at]!))
    const chosen: Array<number> = []
    /** What the last one lost by being like one that was chosen before it. */
    let likeness: number | undefined
    const mayBeWorthMore = (at: number): boolean => {
      const least = likeness ?? weighed(novelty, scores[at]!)
      const hoped = Math.fround(weighed(relevance, scores[met - 1]!) - least)
      const isWorthless = metric !== METRIC.l2 && worth(at) <= 0
      return isWorthless || Math.fround(hoped - worth(at)) > Math.fround(LET_PASS * Math.abs(worth(at)))
    }
    while (chosen.length < keep && left.size > 0) {
      // The first is the nearest of all: nothing was chosen that it could be like.
      const isFirst = chosen.length === 0
      const best = isFirst ? 0 : [...left].reduce((best, at) => (worth(at) > worth(best) ? at : best))
      if (!isFirst && met < count && mayBeWorthMore(best)) return undefined
      if (!isFirst) likeness = Math.fround(weighed(relevance, scores[best]!) - worth(best))
      left.delete(best)
      chosen.push(best)
      const before = chosen.length - 1
      if (before % (Math.floor(before / COMPARED) + 1) !== 0) continue
      for (const at of left) nearest[at] = Math.max(nearest[at]!, score(copies[best]!, copies[at]!))
    }
    return chosen
  }
  let met = Math.min(count, MET_ANYWAY + Math.floor((MET_TWO_CHOICES * keep) / 2))
  let chosen = chosenOf(met)
  while (chosen === undefined) {
    met = Math.min(count, 2 * met)
    chosen = chosenOf(met)
  }
  return chosen
}

/** The product of three, as f32 has it. */
const times = (a: number, b: number, c: number): number => Math.fround(Math.fround(Math.fround(a) * b) * c)

const integerDot = (a: Int8Array, b: Int8Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
