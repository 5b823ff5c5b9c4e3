/** What is kept: answers that are whole and ask for nothing to be done, and what callers say of them. */
import { orCancelled } from "../abort.ts"
import { Closed } from "../errors.ts"
import { isPromise } from "../promise.ts"
import { roomInTurn } from "../turn.ts"
import type { AdaptiveTtl } from "./adaptive-ttl.ts"
import type { CacheEntries } from "./entries.ts"
import type { Eviction } from "./eviction.ts"
import { type AnswerFacts, type Unkept, unkeptBy } from "./facts.ts"
import { judgedAs, type Making } from "./invalidation.ts"
import { jsonOf } from "./json.ts"
import { type CacheSettings, checkSet, expiryOf, type Facts, type SetOptions } from "./options.ts"
import { type Form, type Notes, type PackedEntry, packed } from "./packed.ts"
import type { Asked, CacheRequest } from "./request.ts"
import type { Kept } from "./results.ts"
import type { Counters } from "./statistics.ts"
import type { Sweep } from "./sweep.ts"
import { REJECTED_CHARACTERS, type Tiers, type Verified } from "./tiers.ts"
import type { Told } from "./told.ts"

/** Questions that an entry remembers to be no answer to. */
const MOST_REJECTED = 32

interface Parts {
  readonly entries: CacheEntries
  readonly settings: CacheSettings
  readonly ttl: AdaptiveTtl | ((request: CacheRequest) => number | undefined)
  readonly eviction: Eviction
  /** Absent where nothing is deleted in the background. */
  readonly sweep: Sweep | undefined
  readonly counters: Counters
  readonly tiers: Tiers
  readonly told: Told
}

/** What is known of a request that is about to be answered. */
export interface Pending {
  readonly request: CacheRequest
  readonly asked: Asked
  /** Found by the look-up that missed. */
  readonly vector?: Float32Array | undefined
}

/** A request that was answered. */
interface Answered extends Pending {
  /** Told of invalidations since the model was asked. */
  readonly making: Making
  /** What the caller knows of the answer, before what the cache tells of it. */
  readonly facts?: Facts | undefined
  /** The JSON of the answer, where it was written already. */
  readonly json?: string | undefined
}

export class Keeping {
  readonly #parts: Parts
  /** What callers said that was counted, though it may have failed to be written. */
  readonly #noted = new WeakSet<Verified>()
  readonly #closing = new AbortController()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Nobody waits any more for what is still to be told of an answer. */
  close(): void {
    this.#closing.abort()
  }

  /** Keeps an answer, durably when this resolves, or says why not. */
  async keep(pending: Answered, answer: unknown, options: SetOptions, signal: AbortSignal): Promise<Kept<Unkept>> {
    const { counters } = this.#parts
    const { key } = pending.asked
    const reason = await this.#write(pending, answer, options, signal)
    if (reason === undefined) {
      counters.stored++
      return { isKept: true, key }
    }
    counters.unkept(reason)
    return { isKept: false, key, reason }
  }

  /** Counts a stream that ended and was not kept. */
  unkept(reason: Unkept): void {
    this.#parts.counters.unkept(reason)
  }

  /** What callers say of a hit that is right. */
  confirm = async (asked: Asked, hit: Verified): Promise<void> => {
    if (!this.#noted.has(hit)) this.#parts.counters.confirmed++
    await this.#note(asked, hit, true)
  }

  /** A wrong answer: to the same question it goes; to a question that was found to be near it is not served again. */
  reject = async (asked: Asked, hit: Verified): Promise<void> => {
    const { entries, counters } = this.#parts
    const { key, tier, made } = hit
    if (!this.#noted.has(hit)) counters.rejected++
    await this.#note(asked, hit, false)
    const row = entries.findIn(asked.namespace, key)
    const entry = row < 0 ? undefined : entries.at(row)
    if (entry === undefined) return
    // What was served may have been replaced since: of that nothing was said.
    if (entry.made !== made) return
    if (tier === "exact") return entries.remove(row, (now) => entries.at(now)?.made === made)
    const question = asked.key.slice(0, REJECTED_CHARACTERS)
    await entries.rewrite(row, (now) => {
      const { rejected = [], ...notes } = now.notes
      if (now.made !== made) return undefined
      return repacked(asked, now, { ...notes, rejected: [...rejected, question].slice(-MOST_REJECTED) })
    })
  }

  /** Of the same request a verifier said nothing. */
  async #note({ namespace }: Asked, hit: Verified, right: boolean): Promise<void> {
    const { entries, told } = this.#parts
    const { key, tier, said } = hit
    const isNoted = this.#noted.has(hit)
    this.#noted.add(hit)
    if (tier !== "semantic") return
    if (isNoted) return told.keep(key)
    const isThere = entries.findIn(namespace, key) >= 0
    await told.note({ entry: key, cluster: namespace, probability: said, right }, isThere)
  }

  /** Why an answer was not kept; undefined when it was. */
  async #write(
    { request, asked, making, facts: own, json, ...pending }: Answered,
    answer: unknown,
    options: SetOptions,
    signal: AbortSignal
  ): Promise<Unkept | undefined> {
    const { entries, settings, ttl, eviction, sweep, tiers } = this.#parts
    const form = options.form ?? "value"
    // What is told of an answer is told of this text, whatever becomes of the answer meanwhile.
    const written = json === undefined ? jsonOf(answer, form, settings.maxAnswerBytes) : { json }
    const told = this.#told(answer, form, own, signal)
    const facts = { ...(isPromise(told) ? await told : told), ...given(options) }
    checkSet({ ...options, ...facts })
    const unkept = unkeptBy(facts)
    if (unkept !== undefined) return unkept
    if (asked.text === "") return "no-text"
    if (asked.text.length > settings.maxAnswerBytes) return "too-large"
    if (written.json === undefined) return written.reason
    const expires = expiryOf(settings, options.ttlMs ?? (typeof ttl === "function" ? ttl(request) : ttl.ttlOf(asked)))
    const { inputTokens, outputTokens, cost } = facts
    const notes: Notes = { tags: options.tags, sources: options.sources, inputTokens, outputTokens, cost }
    const vector = pending.vector ?? (await tiers.vectorOf(asked, options.vector, signal))
    if (vector === undefined) return "no-text"
    // Answer and vector are copies by now; whatever is invalidated from here on is told of below.
    const room = roomInTurn()
    if (room !== undefined) await room
    const made = settings.clock()
    const judged = judgedAs(asked, making, notes)
    if (making.isStale(judged)) return "invalidated"
    const entry = { scope: asked.scope, text: asked.text, form, made, expires, took: options.tookMs ?? 0, notes }
    const payload = packed({ ...entry, json: written.json })
    if (eviction.isTooLarge(payload.byteLength)) return "too-large"
    const write = async (): Promise<Unkept | undefined> => {
      const row = await entries.put(asked, vector, payload)
      // Whoever invalidated it while it was written waits for it to be gone.
      if (making.isStale(judged)) {
        await entries.remove(row, (now) => entries.holds(now, payload))
        return "invalidated"
      }
      if (row < 0) return undefined
      sweep?.stored(row)
      await eviction.stored(row)
      return undefined
    }
    return await making.writing(judged, write())
  }

  /** What is known of an answer; waited for only where it is not told at once. */
  #told(answer: unknown, form: Form, own: Facts | undefined, signal: AbortSignal): AnswerFacts | Promise<AnswerFacts> {
    const usual = this.#parts.settings.facts(answer, form)
    if (own === undefined && !isPromise(usual)) return usual
    const known = async () => own?.(answer, form)
    return this.#untilClosed(Promise.all([usual, known()]), signal).then(([usual, known]) => ({
      ...usual,
      ...given({ ...known })
    }))
  }

  /** Fails with `Closed` when the cache is closed first. */
  async #untilClosed<A>(work: Promise<A>, signal: AbortSignal): Promise<A> {
    const closing = this.#closing.signal
    try {
      return await orCancelled(work, AbortSignal.any([signal, closing]))
    } catch (error) {
      throw closing.aborted ? new Closed() : error
    }
  }
}

/** The facts that a caller gave: what is undefined stands for nothing. */
const given = ({ finish, hasToolCalls, isUnvalidated, inputTokens, outputTokens, cost }: SetOptions) =>
  Object.fromEntries(
    Object.entries({ finish, hasToolCalls, isUnvalidated, inputTokens, outputTokens, cost }).filter(
      ([, value]) => value !== undefined
    )
  )

/** An entry with other notes. */
const repacked = ({ scope }: Asked, entry: PackedEntry, notes: Notes): Buffer => {
  const { text, form, made, expires, took, json } = entry
  return packed({ scope, text, form, made, expires, took, notes, json })
}
