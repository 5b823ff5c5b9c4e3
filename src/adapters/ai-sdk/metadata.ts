/** What the cache did for a call, beside the metadata of providers. */
import type { JSONObject } from "@ai-sdk/provider"
import type { Answered } from "../../cache.ts"

/** `providerMetadata.sabine` of an answer. */
export interface SabineMetadata extends JSONObject {
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

export const metadataOf = ({ lookUp, isShared }: Answered<unknown>): SabineMetadata => {
  const { key, similarity } = lookUp
  if (!lookUp.isHit) return { hit: false, key, reason: lookUp.reason, similarity, isShared }
  const { tier, probability, ageMs, isStale } = lookUp
  return { hit: true, key, tier, similarity, probability, ageMs, isStale }
}
