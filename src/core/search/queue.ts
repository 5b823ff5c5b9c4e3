/**
 * Searches that wait, in fair order: start-time fair queueing (Goyal, Vin and Cheng 1996) among collections and, within
 * each, among its callers.
 *
 * What is served is charged to its flow, and the flow that started least far along comes next. A flow that comes back,
 * or a new one, starts where service stands, so nobody saves up a share by waiting. Single searches of a collection are
 * one flow, in the order they came; a batch is a flow of its own, so that it and the singles take turns.
 */

export interface Queued {
  /** Whose share it is served from. */
  readonly collection: object
  /** A flow of its own within the collection. */
  readonly isBatch: boolean
}

interface Flow<C> {
  /** Service that was charged to it, counted from where it entered. */
  start: number
  readonly content: C
}

/** Flows that take turns. */
class Flows<K, C> {
  readonly #flows = new Map<K, Flow<C>>()
  readonly #isEmpty: (content: C) => boolean
  /** Start of the flow served last. */
  #now = 0

  constructor(isEmpty: (content: C) => boolean) {
    this.#isEmpty = isEmpty
  }

  get isEmpty(): boolean {
    for (const { content } of this.#flows.values()) if (!this.#isEmpty(content)) return false
    return true
  }

  get(key: K): C | undefined {
    return this.#flows.get(key)?.content
  }

  enter(key: K, make: () => C): C {
    const known = this.#flows.get(key)
    if (known !== undefined) {
      if (this.#isEmpty(known.content)) known.start = Math.max(known.start, this.#now)
      return known.content
    }
    const content = make()
    this.#flows.set(key, { start: this.#now, content })
    return content
  }

  /** What `find` finds in the flow that is to be served next, of those in which it finds anything. */
  first<R>(find: (content: C) => R | undefined): R | undefined {
    let least = Number.POSITIVE_INFINITY
    let first: R | undefined
    for (const { start, content } of this.#flows.values()) {
      if (start >= least) continue
      const found = find(content)
      if (found === undefined) continue
      least = start
      first = found
    }
    return first
  }

  /** Forgets a flow that never comes back. */
  leave(key: K): void {
    this.#flows.delete(key)
  }

  charge(key: K, cost: number): void {
    const flow = this.#flows.get(key)
    if (flow === undefined) return
    this.#now = Math.max(this.#now, flow.start)
    flow.start += cost
    // What an empty flow was charged counts until service has come as far.
    for (const [key, { start, content }] of this.#flows) {
      if (start <= this.#now && this.#isEmpty(content)) this.#flows.delete(key)
    }
  }
}

/** Name of the flow that single searches share. */
const SINGLES = Symbol("singles")
type Caller = typeof SINGLES | Queued

const callerOf = (item: Queued): Caller => (item.isBatch ? item : SINGLES)

export class FairQueue<T extends Queued> {
  readonly #collections = new Flows<object, Flows<Caller, Set<T>>>((callers) => callers.isEmpty)
  #size = 0

  get size(): number {
    return this.#size
  }

  push(item: T): void {
    const callers = this.#collections.enter(item.collection, () => new Flows((items) => items.size === 0))
    callers.enter(callerOf(item), () => new Set()).add(item)
    this.#size++
  }

  /** Takes an item out, wherever it is; false when it is not there. */
  delete(item: T): boolean {
    const callers = this.#collections.get(item.collection)
    if (callers?.get(callerOf(item))?.delete(item) !== true) return false
    if (item.isBatch) callers.leave(item)
    this.#size--
    return true
  }

  /** The next item, among those that `accepts` lets pass. */
  first(accepts: (item: T) => boolean): T | undefined {
    const accepted = (items: Set<T>): T | undefined => {
      for (const item of items) if (accepts(item)) return item
      return undefined
    }
    return this.#collections.first((callers) => callers.first(accepted))
  }

  /** Items of the flow of `item`, oldest first. */
  flowOf(item: T): ReadonlySet<T> {
    return this.#collections.get(item.collection)?.get(callerOf(item)) ?? new Set()
  }

  /** Counts `cost` as service of the flow of `item`, whether or not it is still here. */
  charge(item: T, cost: number): void {
    this.#collections.get(item.collection)?.charge(callerOf(item), cost)
    this.#collections.charge(item.collection, cost)
  }
}
