/** One caller's search on its way through the queue and the pool, in one piece or in several. */
import type { Queued } from "./queue.ts"
import type { HitReader, Running, Search } from "./search.ts"

/**
 * A search and what becomes of it. Exactly one of `done` and `fail` is called, once. The query of a search that is no batch is
 * lent until the call returns that starts it.
 */
export interface Request extends Search {
  /** Many queries in one call: served in parts, in turn with the other callers of the collection. */
  readonly isBatch: boolean
  readonly done: () => void
  readonly fail: (error: unknown) => void
}

const nothing = (): void => undefined

export class Call implements Queued {
  /**
   * Forgotten at the end. What the queue was made of before outlives scavenges by chance, and keeps the calls that it had,
   * each of which would keep all that its caller made for it.
   */
  #request: Request | undefined
  /** Whether it was expected to be short enough for the event loop. */
  isShort: boolean
  /** First query that nobody has taken yet. */
  next = 0
  #read = 0
  #groups: ReadonlyArray<Group> = []
  /** Called when the call is over, whichever way. */
  onEnd: () => void = nothing

  constructor(request: Request, isShort: boolean) {
    this.#request = request
    this.isShort = isShort
  }

  get isOver(): boolean {
    return this.#request === undefined
  }

  /** What is wanted, of a call that is not over. */
  get request(): Request {
    return this.#request!
  }
  get collection(): object {
    return this.request.memory
  }
  get isBatch(): boolean {
    return this.request.isBatch
  }
  get remaining(): number {
    return this.request.count - this.next
  }

  /** Takes note that a group has some of its queries. */
  joined(group: Group): void {
    this.#groups = [...this.#groups, group]
  }

  /** Takes note that a group has read `count` of its queries; over when it was the last. */
  left(group: Group, count: number): void {
    this.#groups = this.#groups.filter((other) => other !== group)
    this.#read += count
    if (this.#read === this.#request?.count) this.#end()?.done()
  }

  /** Fails, once nothing runs any more that ran for this call alone. */
  async fail(error: unknown): Promise<void> {
    const request = this.#end()
    if (request === undefined) return
    await this.#cancelled()
    request.fail(error)
  }

  /** Ends without a word, as its caller has gone; settles once nothing runs any more that ran for this call alone. */
  async abandon(): Promise<void> {
    if (this.#end() !== undefined) await this.#cancelled()
  }

  async #cancelled(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.cancelIfUnwanted()))
  }

  /** What was wanted of a call that ends now; undefined when it was over. */
  #end(): Request | undefined {
    const request = this.#request
    if (request === undefined) return undefined
    this.onEnd()
    this.onEnd = nothing
    this.#request = undefined
    return request
  }
}

/** Consecutive queries of a call. */
export interface Part {
  readonly call: Call
  readonly from: number
  readonly count: number
}

const unread: HitReader = { take: () => undefined, isComplete: () => true }

/** Parts of calls that share each pass over memory, because their collection, choice and filter are the same. */
export class Group {
  readonly parts: ReadonlyArray<Part>
  readonly search: Search
  #running: Running | undefined

  constructor(parts: ReadonlyArray<Part>) {
    this.parts = parts
    const { memory, cost, choice, passing } = parts[0]!.call.request
    const { dimensions } = memory.shape
    const count = parts.reduce((sum, part) => sum + part.count, 0)
    // Memory of its own: what crosses to a worker is copied with all the memory that it is a part of.
    const queries = new Float32Array(count * dimensions)
    const owners: Array<{ readonly call: Call; readonly query: number }> = []
    for (const { call, from, count } of parts) {
      const part = call.request.queries.subarray(from * dimensions, (from + count) * dimensions)
      queries.set(part, owners.length * dimensions)
      for (let query = from; query < from + count; query++) owners.push({ call, query })
      call.joined(this)
    }
    const reader = (at: number): HitReader => {
      const { call, query } = owners[at]!
      return call.isOver ? unread : call.request.reader(query)
    }
    this.search = { memory, cost, choice, passing, queries, count, reader }
  }

  /** Every query has been read. */
  settle(): void {
    for (const { call, count } of this.parts) call.left(this, count)
  }

  /** Fails every call that is not over; settles when they have been told. */
  async fail(error: unknown): Promise<void> {
    await Promise.all(this.parts.map(({ call }) => call.fail(error)))
  }

  /** Takes note of the search that runs for the group. */
  started(running: Running): void {
    this.#running = running
  }

  /** Stops the native work when no caller waits for it any more, and settles once it has ended. */
  async cancelIfUnwanted(): Promise<void> {
    if (this.#running === undefined || !this.parts.every(({ call }) => call.isOver)) return
    this.#running.cancel()
    await Promise.allSettled([this.#running.done])
  }
}
