/**
 * Where searches of a thread run, and in which order.
 *
 * A short search with nothing else under way runs in place, at once. All others wait in one bounded queue
 * until the event loop or a worker has room for them, in fair order; what waits together and agrees in
 * collection, choice and filter runs together, in one pass over memory and one message.
 * Nothing waits for company while a worker is idle, except for the rest of the present turn of the event loop, 100
 * microseconds at most as long as searches come in, and only when other searches are under way.
 */
import * as Effect from "effect/Effect"
import { wholeNumber } from "../checked.ts"
import { Closed, Overloaded } from "../errors.ts"
import { attempt } from "../lift.ts"
import { isLimited, type Limits, watchLimits } from "../limits.ts"
import type { Pool } from "../pool.ts"
import { fitsInTurn, inNextTurn, leftInTurn } from "../turn.ts"
import { Call, Group, type Part, type Request } from "./call.ts"
import { IN_PLACE_US } from "./cost.ts"
import type { SearchChoice } from "./plan.ts"
import { FairQueue } from "./queue.ts"
import { type Outlook, outlookOf, searchInPlace, searchInPool } from "./search.ts"

/** Queries that share one pass over memory: the most that a native scan takes at a time. */
const QUERIES_A_PASS = 8
/** A worker is given about so much of a batch at a time, or one pass: others wait no longer for their share. */
const PART_US = 4000
/** And up to so much while nobody else waits: half a millisecond passes between two parts. */
const PART_ALONE_US = 8000
/** Groups a worker that may be scanned and not read yet: each holds a claim. */
const MAX_UNREAD = 4
/** Longest wait for company. */
const GATHER_MS = 0.1

/** Searches that may wait, unless told otherwise, and the most that can be asked for. */
const USUAL_QUEUE = 4096
const LARGEST_QUEUE = 1_000_000

export class Dispatcher {
  readonly #pool: Pool["Service"]
  readonly #maxQueue: number
  readonly #queue = new FairQueue<Call>()
  readonly #running = new Map<Group, Promise<void>>()
  /** Workers that search. */
  #busy = 0
  #isDue = false
  #isInLine = false
  /** When the first that waits for company came. */
  #gatheredSince = 0
  #closed = false

  constructor(pool: Pool["Service"], maxQueue = USUAL_QUEUE) {
    this.#pool = pool
    this.#maxQueue = wholeNumber("maxQueue", maxQueue, 1, LARGEST_QUEUE)
  }

  /** A dispatcher for the length of the surrounding scope. */
  static readonly scoped = (pool: Pool["Service"], maxQueue: number | undefined) =>
    Effect.acquireRelease(
      attempt(() => new Dispatcher(pool, maxQueue)),
      (dispatcher) => Effect.promise(() => dispatcher.close())
    )

  /** Starts a search; what it returns stops it when it is not over yet. */
  start(request: Request, limits: Limits = {}): (() => Promise<void>) | undefined {
    try {
      if (this.#closed) throw new Closed()
      if (request.count === 0) {
        request.done()
        return undefined
      }
      const us = outlookOf(request).perQuery * request.count
      const isIdle = this.#running.size === 0 && this.#queue.size === 0
      if (isIdle && us <= IN_PLACE_US && fitsInTurn(us / 1000)) {
        searchInPlace(request)
        request.done()
        return undefined
      }
      return this.#enqueue(request, us, isIdle, limits)
    } catch (error) {
      request.fail(error)
      return undefined
    }
  }

  /** Fails every search with `Closed`; settles when all have been told and none runs any more. */
  async close(): Promise<void> {
    this.#closed = true
    const closed = new Closed()
    for (let call = this.#queue.first(() => true); call !== undefined; call = this.#queue.first(() => true)) {
      call.fail(closed)
    }
    const told = Array.from(this.#running.keys(), (group) => group.fail(closed))
    await Promise.all([...told, ...this.#running.values()])
  }

  #enqueue(request: Request, us: number, isIdle: boolean, limits: Limits): () => Promise<void> {
    if (this.#queue.size >= this.#maxQueue) throw new Overloaded({ limit: this.#maxQueue })
    const own = request.isBatch ? request : { ...request, queries: request.queries.slice() }
    const call = new Call(own, us <= IN_PLACE_US)
    const unwatch = isLimited(limits) ? watchLimits(limits, (error) => call.fail(error)) : undefined
    call.onEnd = () => {
      unwatch?.()
      this.#queue.delete(call)
    }
    this.#queue.push(call)
    const now = performance.now()
    if (this.#queue.size === 1) this.#gatheredSince = now
    const hasCompany = this.#queue.size >= QUERIES_A_PASS * this.#free || now - this.#gatheredSince > GATHER_MS
    if (this.#free > 0 && (isIdle ? !call.isShort : hasCompany)) this.#serve()
    else this.#serveSoon()
    return () => call.abandon()
  }

  /** Workers that may be given something to search. */
  get #free(): number {
    const { threads } = this.#pool
    return this.#running.size < MAX_UNREAD * threads ? threads - this.#busy : 0
  }

  /** Serves at the end of this turn of the event loop: callers that are heard in it have asked by then. */
  #serveSoon(): void {
    if (this.#isDue || this.#queue.size === 0) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#serve()
    })
  }

  /** Serves when this turn is over and those who wait already have had theirs. */
  async #serveInTurn(): Promise<void> {
    if (this.#isInLine) return
    this.#isInLine = true
    await inNextTurn()
    this.#isInLine = false
    this.#serve()
  }

  /** Starts all that there is room for. */
  #serve(): void {
    let loopIsFull = false
    const mayRun = (call: Call): boolean => (call.isShort && !loopIsFull) || (!call.isShort && this.#free > 0)
    for (let call = this.#queue.first(mayRun); call !== undefined; call = this.#queue.first(mayRun)) {
      try {
        if (!this.#goesOn(call)) loopIsFull = true
      } catch (error) {
        // Whose turn this runs in may be another: it is no affair of theirs.
        call.fail(error)
      }
    }
    if (loopIsFull) this.#serveInTurn()
    this.#gatheredSince = performance.now()
  }

  /** Starts the next queries of a call, and whose go with them; false when the event loop has no room for them now. */
  #goesOn(call: Call): boolean {
    const outlook = outlookOf(call.request)
    const { parts, inPool } = this.#gather(call, outlook)
    const us = outlook.perQuery * parts.reduce((sum, { count }) => sum + count, 0)
    if (!inPool) {
      // Costs may have turned out otherwise since it came.
      call.isShort = us <= IN_PLACE_US
      if (!call.isShort) return true
      if (leftInTurn() * 1000 < us) return false
    }
    const group = new Group(parts)
    this.#queue.charge(call, us)
    for (const { call, count } of parts) {
      call.next += count
      if (call.remaining === 0) this.#queue.delete(call)
    }
    if (inPool) this.#runInPool(group, Math.min(outlook.shards, Math.ceil(us / IN_PLACE_US)))
    else runInPlace(group)
    return true
  }

  /** What runs together with the next queries of `call`, and where. */
  #gather(call: Call, { perQuery }: Outlook): { readonly parts: ReadonlyArray<Part>; readonly inPool: boolean } {
    const free = this.#free
    const inTime = (us: number): number => Math.max(1, Math.floor(us / perQuery))
    if (call.isBatch) {
      const inPool = free > 0 && perQuery * call.remaining > IN_PLACE_US
      // Workers are to end with it together.
      const share = (perQuery * call.remaining) / this.#pool.threads
      const us = this.#queue.size === 1 ? Math.min(Math.max(share, PART_US), PART_ALONE_US) : PART_US
      const passes = Math.max(1, Math.floor(inTime(us) / QUERIES_A_PASS))
      const count = Math.min(call.remaining, inPool ? passes * QUERIES_A_PASS : inTime(IN_PLACE_US))
      return { parts: [{ call, from: call.next, count }], inPool }
    }
    const mates = this.#queue.flowOf(call)
    const inPool = free > 0 && perQuery * mates.size > IN_PLACE_US
    // Short searches are spread over the idle workers; long ones share their passes, whose rows are spread.
    const most = !inPool ? inTime(IN_PLACE_US) : call.isShort ? Math.ceil(mates.size / free) : QUERIES_A_PASS
    const parts: Array<Part> = []
    for (const mate of mates) {
      if (parts.length === Math.min(most, QUERIES_A_PASS)) break
      if (agree(mate.request, call.request)) parts.push({ call: mate, from: 0, count: 1 })
    }
    return { parts, inPool }
  }

  #runInPool(group: Group, usefulShards: number): void {
    const shards = this.#queue.size > 0 ? 1 : Math.max(1, Math.min(this.#free, usefulShards))
    this.#busy += shards
    let isFree = false
    const setFree = () => {
      if (isFree) return
      isFree = true
      this.#busy -= shards
      this.#serveSoon()
    }
    const onScanned = () => {
      setFree()
      // The next part of a batch is sent before the hits of this one are read; singles gather until the turn is over.
      if (this.#queue.first(() => true)?.isBatch) this.#serve()
    }
    const run = async () => {
      try {
        const running = searchInPool(this.#pool, group.search, shards, onScanned)
        group.started(running)
        await running.done
        group.settle()
      } catch (error) {
        group.fail(error)
      }
      setFree()
    }
    // Counted before it ends, even where it fails at once.
    const ended = run().finally(() => {
      this.#running.delete(group)
      this.#serveSoon()
    })
    this.#running.set(group, ended)
  }
}

const runInPlace = (group: Group): void => {
  try {
    searchInPlace(group.search)
    group.settle()
  } catch (error) {
    group.fail(error)
  }
}

/** Whether two searches want the same of the same rows. */
const agree = (a: Request, b: Request): boolean => a.passing?.id === b.passing?.id && isSame(a.choice, b.choice)

const isSame = (a: SearchChoice, b: SearchChoice): boolean => {
  const names = Object.keys(a) as Array<keyof SearchChoice>
  return a === b || (names.length === Object.keys(b).length && names.every((name) => Object.is(a[name], b[name])))
}
