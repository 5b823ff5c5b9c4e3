/** One call of a model of another library, answered from the cache or by the model, and what is told of it. */
import type { AskContext, AskOptions, CacheRequest, LookUp, SemanticCache } from "../cache.ts"
import { DeadlineExceeded, EmbedderFailed, EmbedderRequestFailed, Overloaded } from "../core/errors.ts"

/** What the cache did for an answer. */
export interface SabineMetadata {
  /** Whether it came from the cache. */
  readonly hit: boolean
  /** Key of the entry that was served, or that the answer is kept under. */
  readonly key?: string | undefined
  /** Of a hit: the same request, or another text that asks for the same. */
  readonly tier?: "exact" | "semantic" | undefined
  /** Cosine of the served question, or of the nearest that was not served. */
  readonly similarity?: number | undefined
  readonly probability?: number | undefined
  readonly ageMs?: number | undefined
  readonly isStale?: boolean | undefined
  /** Of a miss: why; or the tag of the error that kept the cache from looking. */
  readonly reason?: string | undefined
  /** Of a miss: whether another caller had asked the model already. */
  readonly isShared?: boolean | undefined
}

/** What a model was asked by this very call: all that it said, and what of it is kept. */
interface Fresh<R> {
  readonly result: R
  readonly answer: unknown
}

interface Outcome<R> {
  /** The answer as it is kept: of this call, of another one under way or of the cache. */
  readonly value: unknown
  readonly told: SabineMetadata
  /** Absent when the answer is not of this call. */
  readonly fresh: R | undefined
}

interface Call {
  readonly request: CacheRequest
  readonly options: AskOptions
}

/**
 * Answers a call. Where the cache cannot embed or is overloaded, the model is asked as if there were none; a caller whose
 * signal fires is told its reason.
 */
export const answered = async <R>(
  cache: SemanticCache,
  { request, options }: Call,
  askModel: (signal: AbortSignal | undefined) => Promise<Fresh<R>>
): Promise<Outcome<R>> => {
  let fresh: R | undefined
  let isAsked = false
  // Others may wait for the same call: its own signal fires when nobody does any more.
  const ask = cache.wrap(async (_: CacheRequest, { signal }: AskContext): Promise<unknown> => {
    isAsked = true
    const { result, answer } = await askModel(signal)
    fresh = result
    return answer
  })
  try {
    const { value, lookUp, isShared } = await ask(request, options)
    return { value, told: { ...lookedUp(lookUp), ...(!lookUp.isHit && { isShared }) }, fresh }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isAsked || !isPassing(error)) throw error
    const { result, answer } = await askModel(options.signal)
    return { value: answer, told: { hit: false, reason: error._tag }, fresh: result }
  }
}

/** Failures of the cache that are no reason to leave a question without an answer. */
const PASSING = [EmbedderFailed, EmbedderRequestFailed, Overloaded, DeadlineExceeded]
export const isPassing = (error: unknown): error is InstanceType<(typeof PASSING)[number]> =>
  PASSING.some((type) => error instanceof type)

const lookedUp = (lookUp: LookUp): SabineMetadata => {
  const { key, similarity } = lookUp
  if (!lookUp.isHit) return { hit: false, key, reason: lookUp.reason, similarity }
  const { tier, probability, ageMs, isStale } = lookUp
  return { hit: true, key, tier, similarity, probability, ageMs, isStale }
}
