/**
 * The entries of a cache in its collection: found by the key of a request or by nearness within a scope, read where
 * they lie, written and deleted through the log.
 *
 * Runs on the thread that owns the collection: what is found stays where it is until the turn ends.
 */
import type { Collection, NamespaceView } from "../collection/collection.ts"
import { insideOf } from "../collection/inside.ts"
import { passingNamespace } from "../collection/namespace.ts"
import { checkVectors, ownVector } from "../collection/vectors.ts"
import { DuplicateKey, KeyNotFound } from "../errors.ts"
import type { Hits } from "../kernels/contract.ts"
import type { Limits } from "../limits.ts"
import type { ScanCost } from "../search/cost.ts"
import type { Passing } from "../search/filter/passing.ts"
import { choose, type SearchChoice } from "../search/plan.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { addressOf, encodeKey, isCurrent, NO_NAMESPACE, scopeOf } from "../store/rows.ts"
import { UNKNOWN } from "../store/tags.ts"
import { bytesAnEntry } from "./bytes.ts"
import type { CacheSettings } from "./options.ts"
import { PackedEntry } from "./packed.ts"
import type { Asked } from "./request.ts"
import { settled } from "./settled.ts"

/** Namespaces whose masks and views are at hand. */
const REMEMBERED = 256

/** Candidates that are scored again with their vectors. */
const RERANK = 128

/** A cached question near the one that was asked, as it was when it was found. */
export interface Found {
  readonly row: number
  readonly key: string
  /** Cosine. */
  readonly similarity: number
  readonly text: string
  readonly made: number
  readonly expires: number
}

/** What a search of one namespace came upon. */
interface Nearest {
  /** Of the scope, nearest first. */
  readonly found: ReadonlyArray<Found>
  /** How many of other scopes, which share the namespace, took the places of some that are further away. */
  readonly strangers: number
}

/** One namespace, and what searching it keeps from one search to the next. */
interface View {
  readonly writing: NamespaceView
  readonly passing: Passing
  /** A scope that is a small part of a large cache is searched quickly: that is learned for each. */
  readonly cost: ScanCost
}

export class CacheEntries {
  readonly #collection: Collection
  readonly #inside: ReturnType<typeof insideOf>
  readonly #clock: () => number
  readonly #staleMs: number
  readonly #views = new Map<string, View>()
  readonly #choices = new Map<string, SearchChoice>()
  /** Rows that are being deleted: nobody finds them while the log is written. */
  readonly #hidden = new Set<number>()
  /** Entries of each namespace, by its code. */
  readonly #counts: Array<number> = []
  #size = 0
  /** Called with the bytes that entries take less from now on. */
  onFreed: (bytes: number) => void = () => undefined
  /** Called with the key of an entry that is gone. */
  onRemoved: (key: string) => void = () => undefined

  constructor(collection: Collection, { clock, staleMs }: Pick<CacheSettings, "clock" | "staleMs">) {
    this.#collection = collection
    this.#clock = clock
    this.#staleMs = staleMs
    this.#inside = insideOf(collection)
  }

  /** Entries of all scopes. */
  get size(): number {
    return this.#size
  }

  /** Entries of the namespace of a request: of its scope, and of the few that share it. */
  sizeOf({ namespace }: Pick<Asked, "namespace">): number {
    return this.#counts[this.#inside.store.tags.code(namespace)] ?? 0
  }

  /** Counts the entry of a row that was there when the cache was opened; false when there is none. */
  count(row: number): boolean {
    if (!this.isThere(row)) return false
    this.#counted(scopeOf(this.#inside.store, row), 1)
    return true
  }

  /** One past the highest row. */
  get rows(): number {
    return this.#inside.store.directory.rows
  }

  /** The bytes per row that belong to whoever decides what gives way. */
  marks(row: number): { readonly frequency: Uint8Array; readonly flags: Uint8Array; readonly slot: number } {
    const { frequency, flags } = this.#inside.store.segments[Math.floor(row / SLOTS)]!
    return { frequency, flags, slot: row % SLOTS }
  }

  /** Whether a row holds an entry that may be found. */
  isThere(row: number): boolean {
    const segment = this.#inside.store.segments[Math.floor(row / SLOTS)]
    if (segment === undefined || !isLive(segment, row % SLOTS) || this.#hidden.has(row)) return false
    // What lies outside of all namespaces is no entry.
    return segment.scope[row % SLOTS] !== NO_NAMESPACE
  }

  /** The entry of a row that is there; undefined when it holds something else. Valid until the turn ends. */
  at(row: number): PackedEntry | undefined {
    const { store } = this.#inside
    return PackedEntry.over(store.records.bytesAt(addressOf(store, row)))
  }

  /** Whether a row still holds the entry that was found in it. */
  isStill({ row, key }: Pick<Found, "row" | "key">): boolean {
    return this.isThere(row) && this.keyOf(row) === key
  }

  keyOf(row: number): string {
    const { store } = this.#inside
    return store.records.key(addressOf(store, row))
  }

  /** Hash of the key of a row, u32. */
  hashOf(row: number): number {
    const { store } = this.#inside
    return store.records.hash(addressOf(store, row))
  }

  /** Bytes of memory that an entry takes, columns and all. */
  bytesOf(row: number): number {
    const { store } = this.#inside
    return bytesAnEntry(store.shape) + store.records.usedBytes(addressOf(store, row))
  }

  /** The row of the same request; -1 when there is none. */
  find({ key, namespace, scope }: Asked): number {
    const row = this.findIn(namespace, key)
    return row >= 0 && this.at(row)?.isOf(scope) ? row : -1
  }

  /** The row of a key in a namespace; -1 when there is none. */
  findIn(namespace: string, key: string): number {
    const { store } = this.#inside
    const code = store.tags.code(namespace)
    const encoded = code === UNKNOWN ? undefined : encodeKey(key, code)
    const row = encoded === undefined ? -1 : store.find(encoded)
    return row >= 0 && this.isThere(row) ? row : -1
  }

  /** The row of a key in any namespace; -1 when there is none. Looks into each. */
  findKey(key: string): number {
    const { store } = this.#inside
    for (let code = UNKNOWN + 1; ; code++) {
      const namespace = store.tags.text(code)
      if (namespace === undefined) return -1
      const row = this.findIn(namespace, key)
      if (row >= 0) return row
    }
  }

  /** Whether anything was ever written in the namespace of a request. */
  knows({ namespace }: Asked): boolean {
    return this.#inside.store.tags.code(namespace) !== UNKNOWN
  }

  /** Vector of a text; rejects with `EmptyEmbedding` when the embedder finds nothing in it. */
  async embed(text: string, signal: AbortSignal): Promise<Float32Array> {
    const { store, embed } = this.#inside
    // Both sides are questions: a model with a prefix for each side gets the same one.
    const vector = await embed([text], "query", signal)
    checkVectors(store.kernels, store.shape, vector)
    return vector
  }

  /** A vector that a caller gave, as ours. */
  ownVector(vector: ArrayLike<number>): Float32Array {
    return ownVector(this.#inside.store.kernels, this.#inside.store.shape, vector)
  }

  /** The nearest entries of the scope of a request whose cosine is at least `minScore`, of the `k` nearest of its namespace. */
  nearest(
    asked: Pick<Asked, "namespace" | "scope">,
    vector: Float32Array,
    k: number,
    minScore: number,
    limits: Limits
  ): Promise<Nearest> {
    const { store, searching } = this.#inside
    const code = store.tags.code(asked.namespace)
    if (code === UNKNOWN) return Promise.resolve({ found: [], strangers: 0 })
    const { dispatcher } = searching
    const choice = this.#choice(k, minScore)
    const { passing, cost } = this.#view(asked.namespace)
    return new Promise((done, fail) => {
      let found: Array<Found> = []
      let strangers = 0
      const take = (hits: Hits, i: number) => {
        const row = hits.rows[i]!
        if (!isCurrent(store, row, hits.generations[i]!) || scopeOf(store, row) !== code || this.#hidden.has(row))
          return
        const entry = this.at(row)
        if (entry?.isOf(asked.scope)) {
          const { text, made, expires } = entry
          found.push({ row, key: this.keyOf(row), similarity: hits.scores[i]!, text, made, expires })
        } else strangers++
      }
      const reader = () => {
        found = []
        strangers = 0
        return { take, isComplete: () => found.length + strangers === k }
      }
      dispatcher.start(
        {
          memory: store,
          cost,
          choice,
          passing,
          queries: vector,
          count: 1,
          reader,
          isBatch: false,
          done: () => done({ found, strangers }),
          fail
        },
        limits
      )
    })
  }

  /** Writes the entry of a request in place of what it had; durable, and its row, when this resolves. */
  async put(asked: Asked, vector: Float32Array, payload: Uint8Array): Promise<number> {
    const { writing } = this.#view(asked.namespace)
    const entry = { key: asked.key, vector, payload }
    for (;;) {
      const before = this.find(asked)
      try {
        const bytes = before >= 0 ? this.bytesOf(before) : 0
        await settled(before >= 0 ? writing.update(entry) : writing.add(entry))
        this.onFreed(bytes)
        if (before < 0) this.#counted(this.#inside.store.tags.code(asked.namespace), 1)
        return this.find(asked)
      } catch (error) {
        // Somebody else wrote or deleted it meanwhile.
        if (!(error instanceof DuplicateKey || error instanceof KeyNotFound)) throw error
        if (before < 0 && this.findIn(asked.namespace, asked.key) < 0) await settled(writing.delete(asked.key))
      }
    }
  }

  /** Whether the time of an entry is over, that to be served stale included. */
  isOver(row: number): boolean {
    const expires = this.at(row)?.expires
    return expires === undefined || this.#clock() >= expires + this.#staleMs
  }

  /** Deletes an entry: nobody finds it from now on, and it is gone for good when this resolves. */
  async remove(row: number): Promise<void> {
    if (!this.isThere(row)) return
    const { store } = this.#inside
    const namespace = store.tags.text(scopeOf(store, row))!
    const key = this.keyOf(row)
    const bytes = this.bytesOf(row)
    const code = scopeOf(store, row)
    this.#hidden.add(row)
    this.#counted(code, -1)
    this.onFreed(bytes)
    try {
      await settled(this.#view(namespace).writing.delete(key))
      this.onRemoved(key)
    } catch (error) {
      this.onFreed(-bytes)
      this.#counted(code, 1)
      throw error
    } finally {
      this.#hidden.delete(row)
    }
  }

  /** Deletes an entry that nobody waits for to be gone: where that fails, whoever meets it next tries again. */
  removeSoon(row: number): void {
    this.remove(row).catch(() => undefined)
  }

  /** Replaces what an entry holds and keeps its vector; false when it is gone. */
  async rewrite(row: number, payload: Uint8Array): Promise<boolean> {
    if (!this.isThere(row)) return false
    const { store } = this.#inside
    const namespace = store.tags.text(scopeOf(store, row))!
    const before = this.bytesOf(row)
    try {
      await settled(this.#view(namespace).writing.update({ key: this.keyOf(row), payload }))
    } catch (error) {
      if (error instanceof KeyNotFound) return false
      throw error
    }
    this.onFreed(before - this.bytesOf(row))
    return true
  }

  #counted(code: number, difference: number): void {
    this.#size += difference
    this.#counts[code] = (this.#counts[code] ?? 0) + difference
  }

  #view(namespace: string): View {
    const known = this.#views.get(namespace)
    if (known !== undefined) return known
    const view = {
      writing: this.#collection.namespace(namespace),
      passing: passingNamespace(this.#inside.store, namespace)(undefined),
      cost: this.#inside.searching.cost.ofOneFilter()
    }
    if (this.#views.size >= REMEMBERED) this.#views.delete(this.#views.keys().next().value!)
    this.#views.set(namespace, view)
    return view
  }

  #choice(k: number, minScore: number): SearchChoice {
    const name = `${k} ${minScore}`
    const known = this.#choices.get(name)
    if (known !== undefined) return known
    const { shape } = this.#inside.store
    // Few pass the least score: as many as it takes to rank them, and no more than a short search may score again.
    const rerank = shape.precision === "none" ? 0 : Math.max(RERANK, k)
    const choice = choose({ k, minScore, rerank }, shape)
    if (this.#choices.size >= REMEMBERED) this.#choices.clear()
    this.#choices.set(name, choice)
    return choice
  }
}
