/**
 * An error budget instead of a threshold: the least probability that may be served so that wrong answers stay within a
 * share of all look-ups. It comes from look-ups whose right answers are known, and abstains where these are too few.
 */
import { InvalidParameter } from "../../errors.ts"
import { clopperPearson, type Estimate } from "./interval.ts"
import type { SimilarityScale } from "./scale.ts"

/** What serving everything of at least some probability was measured to do. */
export interface Cut {
  /** The least probability that is served. */
  readonly probability: number
  /** Wrong answers to questions whose right answer is cached. */
  readonly wrongDuplicates: number
  /** Wrong answers to questions that have none: every answer to them is wrong. */
  readonly wrongOthers: number
  /** Of these, the ones to questions of which a near miss is cached. */
  readonly wrongNear?: number | undefined
  readonly rightDuplicates: number
}

/** Look-ups at one number of cached questions. */
export interface CutCurve {
  readonly cached: number
  /** Look-ups whose right answer was cached. */
  readonly duplicates: number
  /** Look-ups whose right answer was not. */
  readonly others: number
  /** Of these, the ones of which a near miss was cached: a question labelled as another one. Absent where nobody told. */
  readonly near?: number | undefined
  /** By falling probability: each serves more than those before it. */
  readonly cuts: ReadonlyArray<Cut>
}

/** How sure a verifier has to be, by how much is cached. Plain JSON. */
export interface CacheCalibration {
  /** Identity of the verifier whose probabilities these are. */
  readonly verifier: string
  /** Identity of the embedder whose neighbours it judged. */
  readonly embedder: string
  /** What the verifier needs to read similarities of that embedder; absent for the static one. */
  readonly scale?: SimilarityScale | undefined
  /** By growing `cached`. */
  readonly curves: ReadonlyArray<CutCurve>
}

export interface BudgetOptions {
  /** Wrong answers served / all look-ups, above 0 and below 1. */
  readonly maxFalseHitRate: number
  /** Entries in the scope that is searched. */
  readonly cached: number
  /**
   * Share of look-ups whose answer is cached, 0 to 1; what is not cached draws more wrong answers. Default 0.5.
   */
  readonly duplicates?: number | undefined
  /**
   * Share of look-ups whose answer is not cached and a near miss of which is, 0 to 1 less `duplicates`: these draw most of
   * the wrong answers. Default: as in the calibration. It counts for nothing where the calibration does not tell them apart.
   */
  readonly near?: number | undefined
}

/**
 * The least probability to serve, or undefined where the calibration is too small to bound the rate: then nothing may be
 * served but the same request. The bound holds with a confidence of 95 %. Fails with `InvalidParameter` on numbers out
 * of range.
 */
export const leastProbability = (
  { curves }: CacheCalibration,
  { maxFalseHitRate, cached, duplicates = 0.5, near }: BudgetOptions
): number | undefined => {
  if (!(maxFalseHitRate > 0 && maxFalseHitRate < 1)) {
    throw new InvalidParameter({ parameter: "maxFalseHitRate", reason: "wanted a share above 0 and below 1" })
  }
  if (!(duplicates >= 0 && duplicates <= 1)) {
    throw new InvalidParameter({ parameter: "duplicates", reason: "wanted a share from 0 to 1" })
  }
  if (near !== undefined && !(near >= 0 && near <= 1 - duplicates)) {
    throw new InvalidParameter({ parameter: "near", reason: "wanted a share from 0 to 1 less duplicates" })
  }
  const cuts = curves.map((curve) => cutFor(curve, maxFalseHitRate, duplicates, near))
  if (cuts.length === 0 || cuts.includes(undefined)) return undefined
  // More entries are never safer, whatever a sample says.
  const least = cuts.map((_, i) => Math.max(...cuts.slice(0, i + 1).map(Number)))
  const after = curves.findIndex((curve) => curve.cached >= cached)
  if (after === 0 || curves.length === 1) return least[0]
  // Beyond the last curve the line through the last two goes on.
  const place = after < 0 ? curves.length - 1 : after
  const [from, to] = [least[place - 1]!, least[place]!]
  if (from === to || curves[place]!.cached === cached) return to
  const share =
    Math.log(cached / curves[place - 1]!.cached) / Math.log(curves[place]!.cached / curves[place - 1]!.cached)
  return sigmoid(logit(from) + share * (logit(to) - logit(from)))
}

/** The lowest cut whose rate is bounded by the budget. */
const cutFor = (curve: CutCurve, budget: number, duplicates: number, near?: number): number | undefined => {
  const estimates = estimatesOf(curve)
  const others = 1 - duplicates
  const nearMisses = nearOf(curve) === 0 ? 0 : Math.min(others, near ?? others * shareOfNear(curve))
  const shares = [duplicates, nearMisses, others - nearMisses]
  return curve.cuts.findLast((_, i) => boundOf(estimates[i]!, shares) <= budget)?.probability
}

const nearOf = ({ near = 0 }: CutCurve): number => near

/** Share of the look-ups without a right answer of which a near miss was cached. */
const shareOfNear = (curve: CutCurve): number => nearOf(curve) / Math.max(1, curve.others)

/** One-sided: above the high end of an interval of 90 % is the true rate in 5 % of all cases. */
const ONE_SIDED = 0.9

/** Shares of wrong answers at a cut: of duplicates, of questions with a near miss, and of all others. */
type Estimates = ReadonlyArray<Estimate>

/** By cut: they take milliseconds, and look-ups ask for budgets again and again as a cache grows. */
const estimated = new WeakMap<CutCurve, ReadonlyArray<Estimates>>()

const estimatesOf = (curve: CutCurve): ReadonlyArray<Estimates> => {
  const done = estimated.get(curve)
  if (done !== undefined) return done
  const { duplicates, others, cuts } = curve
  const near = nearOf(curve)
  const estimates = cuts.map(({ wrongDuplicates, wrongOthers, wrongNear = 0 }) => [
    clopperPearson(wrongDuplicates, duplicates, ONE_SIDED),
    clopperPearson(wrongNear, near, ONE_SIDED),
    clopperPearson(wrongOthers - wrongNear, others - near, ONE_SIDED)
  ])
  estimated.set(curve, estimates)
  return estimates
}

/** Most wrong answers / look-ups that what was counted is compatible with, in traffic of these shares. */
const boundOf = (estimates: Estimates, shares: ReadonlyArray<number>): number => {
  const rate = estimates.reduce((sum, { rate }, i) => sum + shares[i]! * rate, 0)
  // Independent estimates: their distances to the bound add up in squares.
  return rate + Math.hypot(...estimates.map(({ rate, high }, i) => shares[i]! * (high - rate)))
}

const logit = (p: number): number => Math.log(p / (1 - p))
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** A look-up whose right answer is known, and what the verifier made of it. */
export interface Served {
  /** Of the best candidate; absent when every one was refused. */
  readonly probability: number | undefined
  readonly right: boolean
  /** Whether its right answer was cached. */
  readonly duplicate: boolean
  /** Whether a near miss was cached. */
  readonly hasNearMiss?: boolean | undefined
}

/** Growth of the number of wrong answers from one cut to the next. */
const STEP = 1.15
/** A probability of 1 has no odds. */
const MOST = 1 - 1e-9

/** The cuts that let through 0, 1, 2 and then ever more wrong answers. */
export const cutCurve = (cached: number, lookUps: ReadonlyArray<Served>): CutCurve => {
  const duplicates = lookUps.filter(({ duplicate }) => duplicate).length
  const near = lookUps.filter(({ duplicate, hasNearMiss }) => !duplicate && hasNearMiss).length
  const order = lookUps
    .flatMap((lookUp) => (lookUp.probability === undefined ? [] : [{ ...lookUp, probability: lookUp.probability }]))
    .sort((a, b) => b.probability - a.probability)
  const cuts: Array<Cut> = []
  const counted = { wrongDuplicates: 0, wrongOthers: 0, wrongNear: 0, rightDuplicates: 0 }
  let next = 0
  for (const [i, { probability, right, duplicate, hasNearMiss }] of order.entries()) {
    if (right) counted.rightDuplicates++
    else if (duplicate) counted.wrongDuplicates++
    else {
      counted.wrongOthers++
      if (hasNearMiss) counted.wrongNear++
    }
    const following = order[i + 1]
    const wrong = counted.wrongDuplicates + counted.wrongOthers
    // A cut is as low as it can be without another wrong answer; what has one probability is served together.
    if (following?.right || following?.probability === probability || wrong < next) continue
    cuts.push({ probability: Math.min(MOST, probability), ...counted })
    next = Math.max(wrong + 1, Math.floor(wrong * STEP))
  }
  return { cached, duplicates, others: lookUps.length - duplicates, near, cuts }
}
