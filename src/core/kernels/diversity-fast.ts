/**
 * Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
 *
 * - A floor of relevance: the candidates that are met are the best by score, some more than twice as many as are chosen, and a
 *   sample of the others. Where one of those is worth most, what lies above it is met as well.
 * - A sample of the chosen: beyond a number of them, not every one that is chosen is compared with what is left.
 * - Copies of what is met, of one byte a component, are what is compared.
 *
 * Where relevance decides less, or nearly all candidates would be met, the exact choice is made.
 */
import { quantise } from "./int8.ts"
import { METRIC } from "./shape.ts"

/** Candidates that are met for each that is chosen, and those that are met anyway. */
const MET_A_CHOICE = 2
const MET_ANYWAY = 20
/** One of so many others is met, and so many further down for each of them that turns out to be worth more. */
const OTHERS_A_MET = 32
/** What spreads numbers of rows over all numbers: 2^32 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4). */
const SPREADER = 0x9e3779b1
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
  /** Numbers of the rows, which say what is a sample of them. */
  readonly rows: ArrayLike<number>
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
  { rows, scores, vectors }: Candidates,
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
  /** What was met and not chosen, with the largest score that it has against one of the chosen. */
  const left = new Map<number, { readonly copy: Copy; nearest: number }>()
  const known = new Set<number>()
  const compared: Array<Copy> = []
  const meet = (at: number): void => {
    if (known.has(at)) return
    known.add(at)
    const copy = copyOf(at)
    left.set(at, {
      copy,
      nearest: Math.max(Number.NEGATIVE_INFINITY, ...compared.map((chosen) => score(chosen, copy)))
    })
  }
  const relevance = Math.fround(lambda)
  const novelty = Math.fround(1 - relevance)
  const worth = (at: number): number =>
    Math.fround(Math.fround(relevance * scores[at]!) - Math.fround(novelty * left.get(at)!.nearest))
  /** How many from `floor` on are worth more than all before it. */
  const better = (floor: number): number => {
    const most = [...left.keys()]
      .filter((at) => at < floor)
      .reduce((most, at) => Math.max(most, worth(at)), Number.NEGATIVE_INFINITY)
    return [...left.keys()].filter((at) => at >= floor && worth(at) > most).length
  }
  const best = (): number | undefined => {
    const met = [...left.keys()].sort((a, b) => a - b)
    return met.length === 0 ? undefined : met.reduce((best, at) => (worth(at) > worth(best) ? at : best))
  }
  // Candidates before this one are met, and of the others some.
  let floor = Math.min(count, MET_ANYWAY + MET_A_CHOICE * keep)
  for (let at = 0; at < floor; at++) meet(at)
  for (let at = floor; at < count; at++) if (isMetAnyway(rows[at]!)) meet(at)
  const chosen: Array<number> = []
  // The first is the nearest of all: nothing was chosen that it could be like.
  for (let at = count > 0 ? 0 : undefined; at !== undefined; at = best()) {
    if (at >= floor) {
      // What is above it may be worth as much, and as much below as there are others that are worth more than all that
      // were met above the floor.
      const end = Math.min(count, Math.max(at + 1, floor + OTHERS_A_MET * (better(floor) - 1)))
      for (let next = floor; next < end; next++) meet(next)
      floor = end
      continue
    }
    const { copy } = left.get(at)!
    left.delete(at)
    chosen.push(at)
    if (chosen.length === keep) break
    const before = chosen.length - 1
    if (before % (Math.floor(before / COMPARED) + 1) !== 0) continue
    compared.push(copy)
    for (const other of left.values()) other.nearest = Math.max(other.nearest, score(copy, other.copy))
  }
  return chosen
}

const isMetAnyway = (row: number): boolean => Math.imul(row, SPREADER) >>> 0 < 2 ** 32 / OTHERS_A_MET

/** The product of three, as f32 has it. */
const times = (a: number, b: number, c: number): number => Math.fround(Math.fround(Math.fround(a) * b) * c)

const integerDot = (a: Int8Array, b: Int8Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
