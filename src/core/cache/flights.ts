/** One call of a model for all who ask the same at the same time. */
import { Cancelled } from "../errors.ts"

interface Flight<A> {
  readonly made: Promise<A>
  readonly controller: AbortController
  /** Whether it was started for what is served stale meanwhile. */
  readonly isRefresh: boolean
  /** Callers that have not turned away. */
  waiting: number
  /** Whether who asks from now on wants another answer than what it comes to. */
  isOutdated: () => boolean
}

/** What a call that is started can tell and be told. */
export interface Underway {
  /** Fires when nobody waits any more. */
  readonly signal: AbortSignal
  /** To be called when the answer can be found otherwise, so that nobody boards any more. */
  readonly landed: () => void
  /** Lets nobody board any more from when the test holds on. */
  readonly outdatedWhen: (test: () => boolean) => void
  /** To be called when nobody waits for the rest of an answer that came in part. */
  readonly abort: () => void
}

/** Starts a call, for who boards first. */
type Launch<A> = (underway: Underway) => Promise<A>

export class Flights<A> {
  /** The call to board for each key. */
  readonly #boarding = new Map<string, Flight<A>>()
  /** All that are under way. */
  readonly #flying = new Set<Flight<A>>()

  has(key: string): boolean {
    return this.#of(key) !== undefined
  }

  /** Whether a call is under way for `key` that was not started for what is served stale meanwhile. */
  isAwaited(key: string): boolean {
    return this.#of(key)?.isRefresh === false
  }

  /**
   * What the call under way for `key` comes to, which is started when there is none. A caller whose signal fires is told
   * at once; the call is aborted only when all have turned away. A failure is everybody's, and is forgotten.
   */
  async board(key: string, signal: AbortSignal | undefined, launch: Launch<A>, isRefresh = false): Promise<A> {
    if (signal?.aborted) throw new Cancelled()
    const flight = this.#of(key) ?? this.#start(key, launch, isRefresh)
    flight.waiting++
    if (signal === undefined) return flight.made
    let turnAway: () => void = () => undefined
    const cancelled = new Promise<never>((_, reject) => {
      turnAway = () => {
        reject(new Cancelled())
        if (--flight.waiting > 0) return
        this.#forget(key, flight)
        flight.controller.abort()
      }
      signal.addEventListener("abort", turnAway, { once: true })
    })
    try {
      return await Promise.race([flight.made, cancelled])
    } finally {
      signal.removeEventListener("abort", turnAway)
    }
  }

  /** Settles when all calls under way have. */
  async ended(): Promise<void> {
    await Promise.allSettled(Array.from(this.#flying, ({ made }) => made))
  }

  /** Aborts every call under way. */
  abort(): void {
    for (const { controller } of this.#flying) controller.abort()
  }

  #of(key: string): Flight<A> | undefined {
    const flight = this.#boarding.get(key)
    if (!flight?.isOutdated()) return flight
    this.#boarding.delete(key)
    return undefined
  }

  #start(key: string, launch: Launch<A>, isRefresh: boolean): Flight<A> {
    const controller = new AbortController()
    const landed = () => this.#forget(key, flight)
    const { signal } = controller
    const outdatedWhen = (test: () => boolean) => {
      flight.isOutdated = test
    }
    const abort = () => controller.abort()
    const made = Promise.resolve().then(() => launch({ signal, landed, outdatedWhen, abort }))
    const flight: Flight<A> = { made, controller, isRefresh, waiting: 0, isOutdated: () => false }
    this.#boarding.set(key, flight)
    this.#flying.add(flight)
    // Told to those who board; where all have turned away, to nobody.
    made.catch(landed)
    return flight
  }

  #forget(key: string, flight: Flight<A>): void {
    this.#flying.delete(flight)
    if (this.#boarding.get(key) === flight) this.#boarding.delete(key)
  }
}
