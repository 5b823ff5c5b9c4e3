/**
 * The seam between the semantic cache and what decides whether two questions ask for the same.
 *
 * A verifier sees the nearest cached questions of one scope and says which of them, if any, is the question that was
 * asked, and how surely. Where the line is drawn is not its affair: `budget.ts` turns an error budget into the least
 * probability that is served.
 */

/** A cached question that is near the one that was asked. */
export interface Candidate {
  /** The question as it was cached: the text that was embedded. */
  readonly text: string
  /** Cosine of the two vectors, -1 to 1, higher is nearer. */
  readonly similarity: number
}

/**
 * Why a candidate cannot be served, however near it is: the two texts differ in a number, unit, date, negation,
 * direction or opposite, named entity or code identifier. `unsure` is what a verifier could not judge at all, such as
 * a text too long to be read in the time of a look-up.
 */
export type Gate = "number" | "unit" | "date" | "negation" | "antonym" | "entity" | "identifier" | "unsure"

/** A candidate that no gate refused. */
export interface Verification {
  /** Place in the candidates as they were given. */
  readonly index: number
  /** Calibrated probability that the candidate is the question that was asked, 0 to 1. */
  readonly probability: number
}

/** A candidate that must not be served. */
export interface Refusal {
  /** Place in the candidates as they were given. */
  readonly index: number
  readonly gate: Gate
}

/** What a verifier says of all candidates of one look-up. */
export interface Judgement {
  /** The likeliest of those that no gate refused; absent when every one was refused or there were none. */
  readonly best: Verification | undefined
  /** Those that a gate refused, in order of `index`. */
  readonly refused: ReadonlyArray<Refusal>
}

/**
 * Judges candidates: the shipped one by cheap features and gates, others by a cross-encoder or a language model. One
 * that answers at once keeps a look-up synchronous.
 */
export interface Verifier {
  /** What calibrations and feedback are kept for: another id has other probabilities. */
  readonly id: string
  /**
   * Judges the `candidates` of `query`, nearest first.
   *
   * @param cached Entries in the scope that was searched: the more there are, the likelier is a near one by chance.
   */
  verify(query: string, candidates: ReadonlyArray<Candidate>, cached: number): Judgement | Promise<Judgement>
}
