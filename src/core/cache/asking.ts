/** A function that asks a model, behind the cache: one call for all who ask the same, streams as streams. */
import { InvalidParameter, NotCached } from "../errors.ts"
import { isPromise } from "../promise.ts"
import { Flights, type Underway } from "./flights.ts"
import { type Invalidations, judgedAs } from "./invalidation.ts"
import { answerOf } from "./json.ts"
import type { Keeping, Pending } from "./keeping.ts"
import { type AskOptions, type CacheSettings, checkGet, checkSet, sourceOf } from "./options.ts"
import type { Form } from "./packed.ts"
import { byteStreamOf, isByteStream, readableOf, replayed } from "./replaying.ts"
import { type Asked, askedOf, type CacheRequest } from "./request.ts"
import type { LookUp } from "./results.ts"
import type { Counters } from "./statistics.ts"
import { isReadable, isStream, Recording } from "./streams.ts"
import { bypassed, type Looked, type Tiers } from "./tiers.ts"

/** What a model is asked with. */
export interface AskContext {
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** Asks a model: for a value, or for a `ReadableStream` or other `AsyncIterable` of chunks. */
export type AskModel<R extends CacheRequest, A> = (request: R, context: AskContext) => A | Promise<A>

export interface Answered<A> {
  /** The answer: of the model, or an equal one of JSON from the cache; a stream where the model answers with one. */
  readonly value: A
  readonly lookUp: LookUp
  /** Whether it is of a call that another caller had started. */
  readonly isShared: boolean
}

/** What a call of a model came to, for all who wait for it. */
type Made = { readonly value: unknown } | { readonly recording: Recording; readonly kind: Kind }

/** What a caller reads a recording as. */
type Kind = "iterable" | "readable" | "byte-stream"

interface Parts {
  readonly settings: CacheSettings
  readonly tiers: Tiers
  readonly keeping: Keeping
  readonly invalidations: Invalidations
  readonly counters: Counters
  readonly lookUp: (asked: Asked, options: AskOptions, signal: AbortSignal) => Promise<Looked>
}

export class Asking {
  readonly #parts: Parts
  readonly #flights = new Flights<Made>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Aborts the calls under way; settles when they have ended. */
  async close(): Promise<void> {
    this.#flights.abort()
    await this.#flights.ended()
  }

  /** Answers a request from the cache, or asks the model and keeps what it says. */
  async ask<R extends CacheRequest, A>(
    model: AskModel<R, A>,
    request: R,
    options: AskOptions,
    signal: AbortSignal | undefined
  ): Promise<Answered<A>> {
    const { tiers, counters, lookUp, settings } = this.#parts
    // Before a model is asked, whose answer could not be kept.
    if (typeof model !== "function") throw new InvalidParameter({ parameter: "model", reason: "wanted a function" })
    checkGet(settings, options)
    checkSet(options)
    const source = sourceOf(options)
    const taken = askedOf(request, settings.tenant)
    const asked = isPromise(taken) ? await taken : taken
    const looksUp = source === "default" || source === "only"
    // Who asks while the same is being answered waits for that answer: a look-up would only miss.
    const isFlying = source === "default" && this.#flights.isAwaited(asked.key)
    const looked =
      looksUp && !isFlying ? await lookUp(asked, options, signal ?? new AbortController().signal) : undefined
    const result = looked?.result ?? bypassed(asked)
    if (result.isHit) {
      if (result.isStale && source === "default") this.#refresh(model, { request, asked }, options)
      return { value: served(result) as A, lookUp: result, isShared: false }
    }
    if (source === "only") throw new NotCached({ key: asked.key, reason: result.reason })
    if (source === "bypass") {
      const value = await model(request, { signal: signal ?? new AbortController().signal })
      return { value, lookUp: result, isShared: false }
    }
    // Somebody's answer may have been kept while this caller looked.
    const landed = source === "default" && !this.#flights.has(asked.key) ? tiers.exact(asked, options) : undefined
    if (landed !== undefined) {
      counters.shared++
      return { value: served(landed) as A, lookUp: landed, isShared: true }
    }
    const isShared = this.#flights.has(asked.key)
    if (isShared) counters.shared++
    const pending = { request, asked, vector: looked?.vector }
    const made = await this.#flights.board(asked.key, signal, (underway) =>
      this.#call(model, pending, options, underway)
    )
    // The signal of this call is over with it; the caller's goes on to end the stream.
    const value = delivered(made, options.signal)
    return { value: (isShared ? copied(value) : value) as A, lookUp: result, isShared }
  }

  /** Fetches anew what is served stale meanwhile; nobody is told when it fails, and the next who asks tries again. */
  #refresh<R extends CacheRequest, A>(
    model: AskModel<R, A>,
    pending: Pending & { readonly request: R },
    options: AskOptions
  ): void {
    const { key } = pending.asked
    // Whoever asks meanwhile started it already.
    if (this.#flights.has(key)) return
    const launch = (underway: Underway) => this.#call(model, pending, options, underway)
    const refreshed = this.#flights.board(key, undefined, launch, true).then(async (made) => {
      if (!("recording" in made)) return
      // The rest of what is not to be kept is of use to nobody: the next who asks tries again.
      for await (const _ of made.recording.iterate()) if (made.recording.isUnkept) break
    })
    refreshed.catch(() => {
      this.#parts.counters.failures++
    })
  }

  async #call<R extends CacheRequest, A>(
    model: AskModel<R, A>,
    pending: Pending & { readonly request: R },
    options: AskOptions,
    { signal, landed, outdatedWhen, abort }: Underway
  ): Promise<Made> {
    const making = this.#parts.invalidations.begin()
    const start = performance.now()
    const { tags, sources, ttlMs, vector, facts } = options
    const judged = judgedAs(pending.asked, making, { tags, sources })
    // Who asks once it was invalidated is to have an answer that was made since.
    outdatedWhen(() => making.isStale(judged))
    const keep = async (answer: unknown, form: Form, json?: string) => {
      const tookMs = performance.now() - start
      try {
        // Kept for those to come, whether or not this one still waits.
        const never = new AbortController().signal
        await this.#parts.keeping.keep(
          { ...pending, making, facts, json },
          answer,
          { tags, sources, ttlMs, vector, form, tookMs },
          never
        )
      } catch {
        // The answer is there, whatever became of the cache.
        this.#parts.counters.failures++
      } finally {
        making.end()
        landed()
      }
    }
    let value: A
    try {
      value = await model(pending.request, { signal })
    } catch (error) {
      // Together: once it has ended nobody can tell any more that it was invalidated.
      making.end()
      landed()
      throw error
    }
    if (!isStream(value)) {
      await keep(value, "value")
      return { value }
    }
    const kind = !isReadable(value) ? "iterable" : isByteStream(value) ? "byte-stream" : "readable"
    const recording = new Recording(value, this.#parts.settings.maxAnswerBytes, {
      onTooLarge: landed,
      onLeft: abort,
      onEnd: async (recorded) => {
        if (recorded.json !== undefined) {
          const form = formOf(kind, recorded.isOfBytes)
          return keep(answerOf(recorded.json, form), form, recorded.json)
        }
        this.#parts.keeping.unkept(recorded.reason === "cut" ? "unfinished" : recorded.reason)
        making.end()
        landed()
      }
    })
    return { recording, kind }
  }
}

/** The form in which a stream is kept; of what had no chunks nothing but its making tells what they would have been. */
const formOf = (kind: Kind, isOfBytes: boolean): Form => {
  if (kind === "byte-stream") return "readable-bytes"
  return isOfBytes ? `${kind}-bytes` : kind
}

/** What a hit holds, in the form that it had. */
const served = ({ form, value }: LookUp & { readonly isHit: true }): unknown => {
  if (form === "value") return value
  const chunks = replayed(value as ReadonlyArray<unknown>)
  if (form === "readable-bytes") return byteStreamOf(chunks)
  return form === "readable" ? readableOf(chunks) : chunks
}

/** What a model answered, for one caller: a stream ends for a caller whose signal fires. */
const delivered = (made: Made, signal: AbortSignal | undefined): unknown => {
  if (!("recording" in made)) return made.value
  const iterator = made.recording.iterate(signal)
  if (made.kind === "byte-stream") return byteStreamOf(iterator)
  return made.kind === "readable" ? readableOf(iterator) : iterator
}

/** A value of its own for one who shares it, where it can be copied: what one caller does to it no other sees. */
const copied = (value: unknown): unknown => {
  if (isStream(value)) return value
  try {
    return structuredClone(value)
  } catch {
    // It has what cannot be copied, is nested too deep, or fails who reads it.
    return value
  }
}
