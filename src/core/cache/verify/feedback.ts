/**
 * What callers said of hits, made into better probabilities: an entry that was rejected is trusted less, and so, by
 * less, are its cluster and everything. Each level starts where the one above it stands and leaves it as it is told more
 * (beta-binomial shrinkage). What is served stays a matter of the cut.
 */
import { InvalidParameter } from "../../errors.ts"
import { clopperPearson, type Estimate } from "./interval.ts"

/** What was said of one entry, of one cluster or of everything. */
export interface Told {
  readonly confirmed: number
  readonly rejected: number
  /** Sum of the probabilities with which it was served: the confirmations that were expected. */
  readonly expected: number
}

/** All that was said, as plain JSON. */
export interface FeedbackState {
  readonly version: 1
  readonly all: Told
  readonly clusters: Readonly<Record<string, Told>>
  readonly entries: Readonly<Record<string, Told>>
}

/** Where a hit came from. */
export interface FeedbackPlace {
  /** Key of the entry. */
  readonly entry: string
  /** Any name for the entries near it; none when they have none in common. */
  readonly cluster?: string | undefined
}

/** One hit that a caller judged. */
export interface FeedbackNote extends FeedbackPlace {
  /** What the verifier said of it, 0 to 1. */
  readonly probability: number
  /** Confirmed or rejected. */
  readonly right: boolean
}

/** Notes that what a level inherits is worth. */
const INHERITED = { all: 50, cluster: 10, entry: 4 }
/**
 * Standard deviations by which an entry that was rejected is trusted less than is likely: better to ask the model again
 * than to be wrong twice.
 */
const DOUBTED = 1
/** Probabilities are kept this far from 0 and 1, which have no odds. */
const LEAST = 1e-6
const NOTHING: Told = { confirmed: 0, rejected: 0, expected: 0 }

export class CacheFeedback {
  #all = NOTHING
  readonly #clusters = new Map<string, Told>()
  readonly #entries = new Map<string, Told>()

  /** Takes note of a hit that was confirmed or rejected. */
  note({ entry, cluster, probability, right }: FeedbackNote): void {
    const expected = bounded(probability)
    this.#all = more(this.#all, expected, right)
    this.#entries.set(entry, more(this.#entries.get(entry), expected, right))
    if (cluster !== undefined) this.#clusters.set(cluster, more(this.#clusters.get(cluster), expected, right))
  }

  /** The probability that a candidate is right, with all that was said of it, of its cluster and of everything. */
  adjusted(probability: number, { entry, cluster }: FeedbackPlace): number {
    let shift = shiftOf(this.#all, 0, INHERITED.all)
    if (cluster !== undefined) shift = shiftOf(this.#clusters.get(cluster) ?? NOTHING, shift, INHERITED.cluster)
    shift = shiftOf(this.#entries.get(entry) ?? NOTHING, shift, INHERITED.entry, DOUBTED)
    return shift === 0 ? probability : sigmoid(logit(bounded(probability)) + shift)
  }

  /** Forgets an entry that is gone; what it said of its cluster and of everything stays. */
  forget(entry: string): void {
    this.#entries.delete(entry)
  }

  /** What was said of an entry. */
  of(entry: string): Told {
    return this.#entries.get(entry) ?? NOTHING
  }

  /** Rejected / judged hits, with the interval of 95 % that holds the true share. */
  wrongOfServed(): Estimate {
    return clopperPearson(this.#all.rejected, this.#all.confirmed + this.#all.rejected)
  }

  /** Wrong answers / look-ups, when the hits that were judged are like those that were not. */
  wrongOfLookUps(served: number, lookUps: number): Estimate {
    const share = lookUps === 0 ? 0 : served / lookUps
    const { rate, low, high } = this.wrongOfServed()
    return { rate: rate * share, low: low * share, high: high * share }
  }

  toJSON(): FeedbackState {
    const { clusters, entries } = {
      clusters: Object.fromEntries(this.#clusters),
      entries: Object.fromEntries(this.#entries)
    }
    return { version: 1, all: this.#all, clusters, entries }
  }

  /** What `toJSON` wrote. Fails with `InvalidParameter` on anything else. */
  static fromJSON(state: unknown): CacheFeedback {
    const { version, all, clusters, entries } = (state ?? {}) as Record<string, unknown>
    if (version !== 1 || !isTold(all) || !areTold(clusters) || !areTold(entries)) {
      throw new InvalidParameter({ parameter: "feedback", reason: "it is not what toJSON of a CacheFeedback wrote" })
    }
    const feedback = new CacheFeedback()
    feedback.#all = all
    for (const [name, told] of Object.entries(clusters)) feedback.#clusters.set(name, told)
    for (const [name, told] of Object.entries(entries)) feedback.#entries.set(name, told)
    return feedback
  }
}

const more = ({ confirmed, rejected, expected }: Told = NOTHING, probability: number, right: boolean): Told => ({
  confirmed: confirmed + (right ? 1 : 0),
  rejected: rejected + (right ? 0 : 1),
  expected: expected + probability
})

/** By how much log-odds are off at a level, whose parent is off by `inherited`. */
const shiftOf = ({ confirmed, rejected, expected }: Told, inherited: number, weight: number, doubted = 0): number => {
  const notes = confirmed + rejected
  if (notes === 0) return inherited
  const said = logit(bounded(expected / notes))
  const parent = sigmoid(said + inherited)
  const rate = (confirmed + weight * parent) / (notes + weight)
  const deviation = rejected === 0 ? 0 : Math.sqrt((rate * (1 - rate)) / (notes + weight + 1))
  return logit(bounded(rate - doubted * deviation)) - said
}

const bounded = (probability: number): number => Math.min(1 - LEAST, Math.max(LEAST, probability))
const logit = (p: number): number => Math.log(p / (1 - p))
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

const isTold = (value: unknown): value is Told => {
  const { confirmed, rejected, expected } = (value ?? {}) as Record<string, unknown>
  const counts = [confirmed, rejected].every((count) => Number.isSafeInteger(count) && Number(count) >= 0)
  return counts && typeof expected === "number" && Number.isFinite(expected) && expected >= 0
}

const areTold = (value: unknown): value is Readonly<Record<string, Told>> =>
  typeof value === "object" && value !== null && Object.values(value).every(isTold)
