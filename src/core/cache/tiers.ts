/**
 * A look-up: the same request, then the nearest questions of its scope, then whoever decides which of them asks for the
 * same. Nothing is served that is not of the scope, expired, invalidated or told to be wrong.
 */
import { EmptyEmbedding } from "../errors.ts"
import { isPromise } from "../promise.ts"
import { roomInTurn } from "../turn.ts"
import type { Acceptance } from "./acceptance.ts"
import type { AdaptiveTtl } from "./adaptive-ttl.ts"
import type { CacheEntries, Found } from "./entries.ts"
import type { Eviction } from "./eviction.ts"
import type { Invalidations } from "./invalidation.ts"
import { type CacheSettings, checkGet, type GetOptions } from "./options.ts"
import type { PackedEntry } from "./packed.ts"
import type { Asked } from "./request.ts"
import type { Hit, LookUp, Miss, MissReason } from "./results.ts"

/** Nearest entries that are looked at where those of other scopes crowd the first few. */
const CROWDED = 64
/** Characters of a key by which a rejected question is remembered. */
export const REJECTED_CHARACTERS = 16

/** A look-up, with what a write of the same request need not find out again. */
export interface Looked {
  readonly result: LookUp
  readonly vector: Float32Array | undefined
}

interface Parts {
  readonly entries: CacheEntries
  readonly settings: CacheSettings
  readonly invalidations: Invalidations
  readonly eviction: Eviction
  /** Absent where times to live are fixed. */
  readonly ttl: AdaptiveTtl | undefined
  readonly acceptance: Acceptance
  readonly confirm: Feedback
  readonly reject: Feedback
}

/** Takes note of what a caller says of a hit. */
type Feedback = (asked: Asked, judged: Verified) => Promise<void>

/** What a hit was judged by. */
export interface Verified extends Pick<Hit, "key" | "tier"> {
  /** When the answer was made: another one may be in its place by now. */
  readonly made: number
  /** Probability as the verifier said it, whatever callers said since. */
  readonly said: number
}

/** What a candidate is served by. */
interface Judged extends Pick<Hit, "tier" | "probability">, Pick<Verified, "said"> {
  /** Whether another one near it would have been served in its place. */
  readonly isCovered: boolean
}

type State = "fresh" | "stale" | "expired"

export class Tiers {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The answer of the same request, found without searching; undefined when there is none that may be served. */
  exact(asked: Asked, options: GetOptions): Hit | undefined {
    const row = this.#parts.entries.find(asked)
    if (row < 0) return undefined
    const same = { tier: "exact", probability: 1, said: 1, isCovered: false } as const
    return this.#hit(asked, { row, key: asked.key, similarity: 1 }, same, options)
  }

  async lookUp(asked: Asked, options: GetOptions, signal: AbortSignal): Promise<Looked> {
    const { entries, settings, acceptance } = this.#parts
    // Checked whether or not it is needed.
    checkGet(settings, options)
    // What is found without a search is found at once, and one after another would hold the event loop.
    const turn = roomInTurn()
    if (turn !== undefined) await turn
    const isKnown = entries.find(asked) >= 0
    const exact = this.exact(asked, options)
    if (exact !== undefined) {
      acceptance.unjudged()
      return { result: exact, vector: undefined }
    }
    const early = this.#missEarly(asked)
    if (early !== undefined) {
      acceptance.unjudged()
      return { result: miss(asked, isKnown ? "expired" : early), vector: undefined }
    }
    const vector = await this.vectorOf(asked, options.vector, signal)
    if (vector === undefined) {
      acceptance.unjudged()
      return { result: miss(asked, "no-text"), vector }
    }
    // Many callers at once would hold the event loop from one to the next; the vector is a copy by now.
    const room = roomInTurn()
    if (room !== undefined) await room
    const found = await this.nearest(asked, vector, acceptance.reach(options), signal)
    if (found.length > 0) return { result: await this.#verified(asked, found, options, signal), vector }
    acceptance.judged(undefined, this.#parts.entries.sizeOf(asked))
    return { result: miss(asked, isKnown ? "expired" : "below-threshold"), vector }
  }

  /** Vector of the text of a request, as given or embedded; undefined when the embedder finds nothing in it. */
  async vectorOf(
    asked: Asked,
    given: ArrayLike<number> | undefined,
    signal: AbortSignal
  ): Promise<Float32Array | undefined> {
    const { entries } = this.#parts
    if (given !== undefined) return entries.ownVector(given)
    try {
      return await entries.embed(asked.text, signal)
    } catch (error) {
      if (error instanceof EmptyEmbedding) return undefined
      throw error
    }
  }

  /** The nearest entries of the scope, at least `minScore` near. */
  async nearest(
    asked: Asked,
    vector: Float32Array,
    minScore: number,
    signal: AbortSignal
  ): Promise<ReadonlyArray<Found>> {
    const { entries, settings } = this.#parts
    const { candidates } = settings
    const { found, strangers } = await entries.nearest(asked, vector, candidates, minScore, { signal })
    if (strangers === 0) return found
    const more = await entries.nearest(asked, vector, candidates + CROWDED, minScore, { signal })
    return more.found.slice(0, candidates)
  }

  #missEarly(asked: Asked): MissReason | undefined {
    const { entries } = this.#parts
    if (asked.text === "") return "no-text"
    if (asked.text.length > this.#parts.settings.maxAnswerBytes) return "too-large"
    if (entries.size === 0) return "empty"
    return entries.knows(asked) ? undefined : "scope"
  }

  async #verified(
    asked: Asked,
    found: ReadonlyArray<Found>,
    options: GetOptions,
    signal: AbortSignal
  ): Promise<LookUp> {
    const { entries, settings, acceptance } = this.#parts
    const nearMiss = (reason: MissReason, one: Found = found[0]!): Miss => miss(asked, reason, one, settings.clock())
    const alive = found.filter((one) => this.#state(one, options) !== "expired")
    const cached = entries.sizeOf(asked)
    if (alive.length === 0) {
      acceptance.judged(undefined, cached)
      return nearMiss("expired")
    }
    const judgement = settings.verifier.verify(asked.text, alive, cached)
    const { best, refused } = isPromise(judgement) ? await judgement : judgement
    acceptance.judged(best?.probability, cached)
    if (best === undefined) return nearMiss(refused[0] === undefined ? "abstained" : `gate:${refused[0].gate}`)
    const chosen = alive[best.index]!
    const probability = acceptance.adjusted(best.probability, chosen.key, asked.namespace)
    const refusal = acceptance.isNear(chosen, options) ? acceptance.refusal(probability, cached) : "below-threshold"
    if (refusal !== undefined) return nearMiss(refusal, chosen)
    if (settings.judge !== undefined) {
      const verdict = await settings.judge(asked.text, chosen.text, signal)
      if (verdict === false || (verdict !== true && !(verdict >= 0.5))) return nearMiss("judge", chosen)
    }
    // Whoever judged took time: what was found may be gone, or may be another's by now.
    if (!entries.isStill(chosen)) return nearMiss("expired", chosen)
    if (this.#isRejected(asked, chosen)) return nearMiss("rejected", chosen)
    const isCovered = alive.some((one) => one !== chosen && acceptance.isNear(one, options))
    const verified = { tier: "semantic", probability, said: best.probability, isCovered } as const
    return this.#hit(asked, chosen, verified, options) ?? nearMiss("expired", chosen)
  }

  #state({ made, expires }: { readonly made: number; readonly expires: number }, { maxAgeMs }: GetOptions): State {
    const { settings } = this.#parts
    const now = settings.clock()
    if (maxAgeMs !== undefined && now - made > maxAgeMs) return "expired"
    if (now < expires) return "fresh"
    return now < expires + settings.staleMs ? "stale" : "expired"
  }

  #isRejected(asked: Asked, { row }: Found): boolean {
    const entry = this.#parts.entries.at(row)
    return (
      entry !== undefined &&
      contentOf(entry)?.notes.rejected?.includes(asked.key.slice(0, REJECTED_CHARACTERS)) === true
    )
  }

  /** Serves a row that is there; undefined when its answer may not be served after all. */
  #hit(
    asked: Asked,
    { row, key, similarity }: Pick<Found, "row" | "key" | "similarity">,
    { tier, probability, said, isCovered }: Judged,
    options: GetOptions
  ): Hit | undefined {
    const { entries, settings, invalidations, eviction, ttl, confirm, reject } = this.#parts
    const entry = entries.at(row)
    if (entry === undefined || !entry.isOf(asked.scope)) return undefined
    const state = this.#state(entry, options)
    if (state === "expired") {
      if (entries.isOver(row)) entries.removeSoon(row)
      return undefined
    }
    if (invalidations.covers(key, entry)) return undefined
    const content = contentOf(entry)
    if (content === undefined) return undefined
    eviction.served(row, isCovered)
    ttl?.served(asked.namespace, key, settings.clock() - entry.made, entry.expires - entry.made)
    const verified = { key, tier, made: entry.made, said }
    return {
      isHit: true,
      key,
      tier,
      probability,
      similarity,
      ageMs: settings.clock() - entry.made,
      isStale: state === "stale",
      text: entry.text,
      form: entry.form,
      ...content,
      tookMs: entry.took,
      confirm: once(confirm, asked, verified),
      reject: once(reject, asked, verified)
    }
  }
}

/** What an entry holds; undefined where somebody else wrote what is no JSON. */
export const contentOf = (entry: PackedEntry): Pick<Hit, "value" | "notes"> | undefined => {
  try {
    return { value: entry.answer, notes: entry.notes }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Tells something once, however often it is called; where that failed, the same again, known by its `judged`. */
const once = (tell: Feedback, asked: Asked, judged: Verified): (() => Promise<void>) => {
  const own = { ...judged }
  let told: Promise<void> | undefined
  return () => {
    told ??= tell(asked, own).catch((error) => {
      told = undefined
      throw error
    })
    return told
  }
}

const miss = ({ key }: Asked, reason: MissReason, nearest?: Found, now = 0): Miss => ({
  isHit: false,
  key,
  reason,
  similarity: nearest?.similarity,
  nearest: nearest && {
    key: nearest.key,
    text: nearest.text,
    similarity: nearest.similarity,
    ageMs: now - nearest.made
  }
})

/** The miss of a caller who wanted no look-up. */
export const bypassed = (asked: Asked): Miss => miss(asked, "bypass")
