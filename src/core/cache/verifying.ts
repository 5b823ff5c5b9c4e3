/** What users of the cache name of its verification. */
export {
  type BudgetOptions,
  type CacheCalibration,
  type Cut,
  type CutCurve,
  leastProbability
} from "./verify/budget.ts"
export { type CalibrateOptions, calibrateCache } from "./verify/calibrate.ts"
export {
  CacheFeedback,
  type FeedbackNote,
  type FeedbackPlace,
  type FeedbackState,
  type Told
} from "./verify/feedback.ts"
export { clopperPearson, type Estimate } from "./verify/interval.ts"
export type { LabelledPair } from "./verify/labelled.ts"
export { type LearnedVerifierOptions, learnedVerifier } from "./verify/learned.ts"
export type { SimilarityScale } from "./verify/scale.ts"
export { shippedCalibration } from "./verify/shipped.ts"
export type {
  Candidate,
  Gate,
  Judgement,
  Refusal,
  Verification as VerifiedCandidate,
  Verifier
} from "./verify/verifier.ts"
