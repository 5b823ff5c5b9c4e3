/**
 * Where the line is drawn between what is served and what is not: at a cosine, or at the probability that keeps wrong
 * answers within a share of all look-ups.
 */
import { InvalidParameter } from "../errors.ts"
import type { Found } from "./entries.ts"
import type { CacheSettings, GetOptions } from "./options.ts"
import { thresholdOf } from "./options.ts"
import { type Mix, Traffic, USUAL_MIX } from "./traffic.ts"
import { type CacheCalibration, leastProbability } from "./verify/budget.ts"
import type { CacheFeedback } from "./verify/feedback.ts"
import { shippedCalibration } from "./verify/shipped.ts"

/** The least probability is worked out again where the number of entries has changed by a twentieth. */
const STEPS_A_FACTOR = 20
/** A budget is a share below 1. */
const MOST_RATE = 1 - 1e-9
/** How far below a threshold the nearest of a miss is still told. */
const REACH = 0.2

export class Acceptance {
  readonly #settings: CacheSettings
  readonly #calibration: CacheCalibration | undefined
  readonly #feedback: CacheFeedback
  /** Absent where no budget is to be kept. */
  readonly #traffic: Traffic | undefined
  /** By steps of size, of the present mix of look-ups. */
  readonly #least = new Map<number, number | undefined>()
  #mix = USUAL_MIX

  private constructor(settings: CacheSettings, calibration: CacheCalibration | undefined, feedback: CacheFeedback) {
    this.#settings = settings
    this.#calibration = calibration
    this.#feedback = feedback
    this.#traffic = calibration && new Traffic(calibration, settings.nearMisses)
  }

  /** Takes in what a budget needs to know; fails where the calibration is of another verifier or embedder, told by its id. */
  static async of(settings: CacheSettings, feedback: CacheFeedback, embedder: string): Promise<Acceptance> {
    const { maxFalseHitRate, verifier } = settings
    if (maxFalseHitRate === undefined) return new Acceptance(settings, undefined, feedback)
    const calibration = settings.calibration ?? (await shippedCalibration())
    const wrong = (reason: string) => new InvalidParameter({ parameter: "calibration", reason })
    if (calibration.verifier !== verifier.id) {
      throw wrong(`it is of the verifier ${calibration.verifier}, and this is ${verifier.id}`)
    }
    // Where callers bring the vectors, they know where those come from.
    if (embedder !== "" && calibration.embedder !== embedder) {
      throw wrong(`it is of the embedder ${calibration.embedder}, and this is ${embedder}`)
    }
    // Also tells of shares out of range before anything is served.
    leastProbability(calibration, { maxFalseHitRate, cached: 1 })
    return new Acceptance(settings, calibration, feedback)
  }

  /** Least cosine of what is looked at. */
  reach(options: GetOptions): number {
    const { floor } = this.#settings
    if (this.#calibration !== undefined) return floor
    return Math.max(-1, Math.min(floor, thresholdOf(this.#settings, options) - REACH))
  }

  /** Whether a candidate is near enough to be served by its cosine alone. */
  isNear({ similarity }: Pick<Found, "similarity">, options: GetOptions): boolean {
    const byBudget = this.#calibration !== undefined && options.threshold === undefined
    return similarity >= (byBudget ? this.#settings.floor : thresholdOf(this.#settings, options))
  }

  /** The probability of a candidate with all that callers said of it and of others. */
  adjusted(probability: number, entry: string, cluster: string): number {
    return this.#feedback.adjusted(probability, { entry, cluster })
  }

  /** Why a candidate of some probability is not served among so many cached; undefined when it is. */
  refusal(probability: number, cached: number): "below-threshold" | "abstained" | undefined {
    if (this.#calibration === undefined) return undefined
    const least = this.#leastAt(this.#calibration, cached)
    if (least === undefined) return "abstained"
    return probability >= least ? undefined : "below-threshold"
  }

  /** Takes note of a look-up that needed no verdict. */
  unjudged(): void {
    this.#traffic?.unjudged()
  }

  /** Takes note of what a verifier said of the best candidate of a look-up, where there was one. */
  judged(probability: number | undefined, cached: number): void {
    this.#traffic?.judged(probability, cached)
  }

  /** What the budget assumes of the look-ups; undefined where there is none. */
  get mix(): Mix | undefined {
    return this.#traffic?.mix
  }

  #leastAt(calibration: CacheCalibration, cached: number): number | undefined {
    const { mix = USUAL_MIX } = this
    if (mix !== this.#mix) {
      this.#mix = mix
      this.#least.clear()
    }
    const { duplicates, near, judged } = mix
    const step = Math.ceil(Math.log(Math.max(1, cached)) * STEPS_A_FACTOR)
    if (this.#least.has(step)) return this.#least.get(step)
    const { maxFalseHitRate: ofAll = 1 } = this.#settings
    const maxFalseHitRate = Math.min(MOST_RATE, ofAll / judged)
    const cachedMost = Math.exp(step / STEPS_A_FACTOR)
    const least = leastProbability(calibration, { maxFalseHitRate, cached: cachedMost, duplicates, near })
    this.#least.set(step, least)
    return least
  }
}
