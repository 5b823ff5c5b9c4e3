/** What a look-up comes to. */
import type { Form, Notes } from "./packed.ts"
import type { Gate } from "./verify/verifier.ts"

/** Why nothing was served. */
export type MissReason =
  /** The cache has no entries. */
  | "empty"
  /** There are entries, and none of the same tenant, model, system prompt, tools, parameters and earlier messages. */
  | "scope"
  /** The nearest is not near enough, or not probably enough the same. */
  | "below-threshold"
  /** The nearest is near enough, and a gate refused it. */
  | `gate:${Gate}`
  /** The judge refused it. */
  | "judge"
  | "expired"
  /** A caller told that the nearest is no answer to this question. */
  | "rejected"
  /** The error budget could not be kept with what is known of answers like this one. */
  | "abstained"
  /** The request has no text of a user, or the embedder finds nothing in it. */
  | "no-text"
  /** The text is longer than `maxAnswerBytes`: it is not embedded, and what is said to it is not kept. */
  | "too-large"
  /** The caller did not want to be served from the cache. */
  | "bypass"

/** The cached question that came nearest. */
export interface NearMiss {
  readonly key: string
  readonly text: string
  /** Cosine, -1 to 1. */
  readonly similarity: number
  readonly ageMs: number
}

export interface Miss {
  readonly isHit: false
  /** What an answer to this request would be kept under. */
  readonly key: string
  readonly reason: MissReason
  /** Cosine of the nearest; undefined where nothing within reach was near. */
  readonly similarity: number | undefined
  readonly nearest: NearMiss | undefined
}

export interface Hit {
  readonly isHit: true
  /** Key of the entry that is served. */
  readonly key: string
  /** `exact`: the same request. `semantic`: another text, found to ask for the same. */
  readonly tier: "exact" | "semantic"
  /** Cosine of the two texts, 1 for the same. */
  readonly similarity: number
  /** Probability that it is the answer to this request, as the verifier has it; 1 for the same request. */
  readonly probability: number
  readonly ageMs: number
  /** Whether its time to live is over, and only that to be served stale is not. */
  readonly isStale: boolean
  /** The question as it was cached. */
  readonly text: string
  /** What the answer was: a value, or a stream. */
  readonly form: Form
  /** The answer: a value of its own for each hit, or the array of the chunks of a stream. */
  readonly value: unknown
  /** What is known of the answer: tokens, cost, tags, sources. */
  readonly notes: Notes
  /** Milliseconds that the model took for it. */
  readonly tookMs: number
  /** Tells that the answer was right. Of one hit that counts once. */
  readonly confirm: () => Promise<void>
  /** Tells that the answer was wrong: it is not served to this question again. Of one hit that counts once. */
  readonly reject: () => Promise<void>
}

export type LookUp = Hit | Miss

/** What became of an answer that was to be kept. */
export type Kept<Unkept> =
  | { readonly isKept: true; readonly key: string }
  | { readonly isKept: false; readonly key: string; readonly reason: Unkept }

/** An entry as it lies in the cache. */
export interface CachedEntry extends Pick<Hit, "key" | "text" | "form" | "value" | "notes" | "tookMs" | "ageMs"> {
  /** SHA-256 of its scope, hexadecimal: the same for entries that may be served for one another. */
  readonly scope: string
  /** Milliseconds since 1970, infinite for never. */
  readonly expires: number
}
