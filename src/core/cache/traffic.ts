/**
 * What share of the look-ups a cache has an answer to, as far as that can be seen, so that an error budget fits the traffic
 * there is and not that of the calibration.
 *
 * - Look-ups that need no verdict, because the same request is cached or nothing that could be served is, are never
 *   wrong, and make room: a budget is a share of all look-ups. What is judged gets at most twice the share.
 * - Of those that are judged, so many were likely the same as a cached one. From the share of these, and from how often that
 *   happens by mistake in the calibration, follows what share of duplicates there is at least: as if the verifier saw every
 *   duplicate, since those of this traffic may be easier to see than those of the calibration. What there is at most
 *   follows from how many it saw there. Without evidence against it, the share is the usual half.
 * - How many have a near miss in the cache is not estimated: duplicates that are harder to see than those of the calibration
 *   leave the same probabilities.
 */
import type { CacheCalibration, CutCurve } from "./verify/budget.ts"
import { clopperPearson } from "./verify/interval.ts"

/** What a budget is to assume of the look-ups. */
export interface Mix {
  /** Share of the judged look-ups whose answer is cached, 0 to 1. */
  readonly duplicates: number
  /** Share of the judged look-ups that have a near miss in the cache and no answer, where the operator told it, 0 to 1. */
  readonly near?: number | undefined
  /** Share of all look-ups that are judged, 0.5 to 1. */
  readonly judged: number
}

export const USUAL_MIX: Mix = { duplicates: 0.5, judged: 1 }

/**
 * With what an operator told of near misses, as a share of all look-ups. Verifiers take many of them for duplicates, so it
 * is the duplicates that give way where the two are more than all.
 */
const mixOf = (most: number, judged: number, nearMisses: number | undefined): Mix => {
  if (nearMisses === undefined) return { duplicates: most, judged }
  const near = Math.min(1, nearMisses / judged)
  const duplicates = Math.min(most, 1 - near)
  // 1 - near is rounded, and the two must not be more than 1.
  return { duplicates, near: Math.min(near, 1 - duplicates), judged }
}

/** Look-ups between two looks at the counts, and below which nothing is concluded. */
const PERIOD = 256
/** Counts are halved when there are so many: traffic changes. */
const MOST = 8192
const LEAST_JUDGED = 0.5
/** Shares are told in so many steps, towards the side on which fewer answers are served. */
const STEPS = 64
/** Above the high end of an interval of 90 % the true share is in 5 % of all cases. */
const ONE_SIDED = 0.9

/** The cut of a curve that tells duplicates from others best, and how well. */
interface Sight {
  readonly cached: number
  readonly probability: number
  /** Share of the duplicates above the cut. */
  readonly seen: number
  /** Share of the others above it, and what that is at most. */
  readonly mistaken: number
  readonly mostMistaken: number
}

const sightOf = ({ cached, duplicates, others, cuts }: CutCurve): Sight => {
  let best: Sight = { cached, probability: 1, seen: 0, mistaken: 0, mostMistaken: 0 }
  for (const { probability, wrongDuplicates, rightDuplicates, wrongOthers } of cuts) {
    const seen = (wrongDuplicates + rightDuplicates) / Math.max(1, duplicates)
    const mistaken = wrongOthers / Math.max(1, others)
    if (seen - mistaken <= best.seen - best.mistaken) continue
    const { high: mostMistaken } = clopperPearson(wrongOthers, others, ONE_SIDED)
    best = { cached, probability, seen, mistaken, mostMistaken }
  }
  return best
}

export class Traffic {
  readonly #sights: ReadonlyArray<Sight>
  readonly #nearMisses: number | undefined
  #counts = { all: 0, judged: 0, likely: 0, seen: 0, mistaken: 0, mostMistaken: 0 }
  #sinceLook = 0
  #mix: Mix

  /** `nearMisses` is the share of all look-ups that have a near miss in the cache and no answer, where it is known. */
  constructor({ curves }: Pick<CacheCalibration, "curves">, nearMisses?: number) {
    this.#sights = curves.map(sightOf)
    this.#nearMisses = nearMisses
    this.#mix = mixOf(USUAL_MIX.duplicates, USUAL_MIX.judged, nearMisses)
  }

  /** What is to be assumed now: the same object as long as it does not change. */
  get mix(): Mix {
    return this.#mix
  }

  /** A look-up that needed no verdict. */
  unjudged(): void {
    this.#lookedUp()
  }

  /** A look-up whose best candidate, among so many cached, had this probability; undefined where all were refused. */
  judged(probability: number | undefined, cached: number): void {
    const sight = this.#sights.find((one) => one.cached >= cached) ?? this.#sights.at(-1)
    if (sight === undefined) return
    const counts = this.#counts
    counts.judged++
    counts.seen += sight.seen
    counts.mistaken += sight.mistaken
    counts.mostMistaken += sight.mostMistaken
    if (probability !== undefined && probability >= sight.probability) counts.likely++
    this.#lookedUp()
  }

  #lookedUp(): void {
    this.#counts.all++
    if (++this.#sinceLook < PERIOD) return
    this.#sinceLook = 0
    const mix = this.#look()
    if (mix.duplicates !== this.#mix.duplicates || mix.judged !== this.#mix.judged) this.#mix = mix
    if (this.#counts.all < MOST) return
    for (const name of ["all", "judged", "likely", "seen", "mistaken", "mostMistaken"] as const) this.#counts[name] /= 2
  }

  #look(): Mix {
    const { all, judged, likely, seen, mistaken, mostMistaken } = this.#counts
    const share = Math.max(LEAST_JUDGED, clopperPearson(judged, all, ONE_SIDED).high)
    const rounded = Math.ceil(share * STEPS) / STEPS
    if (judged < PERIOD) return mixOf(USUAL_MIX.duplicates, rounded, this.#nearMisses)
    const { low, high } = clopperPearson(likely, judged, ONE_SIDED)
    const least = (low - mostMistaken / judged) / (1 - mostMistaken / judged)
    const told = (seen - mistaken) / judged
    const most = told > 0 ? (high - mistaken / judged) / told : 1
    const duplicates = Math.max(0, Math.min(1, Math.max(least, Math.min(USUAL_MIX.duplicates, most))))
    return mixOf(Math.floor(duplicates * STEPS) / STEPS, rounded, this.#nearMisses)
  }
}
