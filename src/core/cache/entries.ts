/**
 * The entries of a cache in its collection: found by the key of a request or by nearness within a scope, read where
 * they lie, written and deleted through the log.
 *
 * Runs on the thread that owns the collection: what is found stays where it is until the turn ends.
 */
import type { Collection, NamespaceView } from "../collection/collection.ts"
import { insideOf } from "../collection/inside.ts"
import { passingNamespace } from "../collection/namespace.ts"
import type { EntryPlace } from "../collection/removing.ts"
import { settled } from "../collection/settled.ts"
import { checkVectors, ownVector } from "../collection/vectors.ts"
import { DuplicateKey, KeyNotFound } from "../errors.ts"
import type { Hits } from "../kernels/contract.ts"
import type { Limits } from "../limits.ts"
import type { ScanCost } from "../search/cost.ts"
import type { Passing } from "../search/filter/passing.ts"
import { choose, type SearchChoice } from "../search/plan.ts"
import { isCurrent, scopeOf } from "../store/rows.ts"
import { UNKNOWN } from "../store/tags.ts"
import { inNextTurn } from "../turn.ts"
import { EntryRows } from "./entry-rows.ts"
import { KeyTurns } from "./key-turns.ts"
import type { CacheSettings } from "./options.ts"
import type { PackedEntry } from "./packed.ts"
import type { Asked } from "./request.ts"

/** Namespaces whose masks and views are at hand. */
const REMEMBERED = 256

/** Entries that are deleted as one at most: it takes a fraction of a millisecond. */
export const TOGETHER = 64
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

const always = (): boolean => true
const nothing = async (): Promise<void> => undefined

/** An entry that is being deleted, as it was when it was hidden. */
export interface Leaving extends EntryPlace {
  readonly hash: number
  readonly bytes: number
}

/** One namespace, and what searching it keeps from one search to the next. */
interface View {
  readonly writing: NamespaceView
  readonly passing: Passing
  /** A scope that is a small part of a large cache is searched quickly: that is learned for each. */
  readonly cost: ScanCost
}

export class CacheEntries extends EntryRows {
  readonly #collection: Collection
  readonly #inside: ReturnType<typeof insideOf>
  readonly #views = new Map<string, View>()
  readonly #choices = new Map<string, SearchChoice>()
  /** Writes and deletions of one key come one after another. */
  readonly #turns = new KeyTurns()
  /** Called with the key of an entry that is gone. */
  onRemoved: (key: string) => void = () => undefined

  constructor(collection: Collection, settings: Pick<CacheSettings, "clock" | "staleMs">) {
    const inside = insideOf(collection)
    super(inside.store, settings)
    this.#collection = collection
    this.#inside = inside
  }

  /** Vector of a text; rejects with `EmptyEmbedding` when the embedder finds nothing in it. */
  async embed(text: string, signal: AbortSignal): Promise<Float32Array> {
    const { store } = this
    // Both sides are questions: a model with a prefix for each side gets the same one.
    const vector = await this.#inside.embed([text], "query", signal)
    checkVectors(store.kernels, store.shape, vector)
    return vector
  }

  /** A vector that a caller gave, as ours. */
  ownVector(vector: ArrayLike<number>): Float32Array {
    return ownVector(this.store.kernels, this.store.shape, vector)
  }

  /** The nearest entries of the scope of a request whose cosine is at least `minScore`, of the `k` nearest of its namespace. */
  nearest(
    asked: Pick<Asked, "namespace" | "scope">,
    vector: Float32Array,
    k: number,
    minScore: number,
    limits: Limits
  ): Promise<Nearest> {
    const { store } = this
    const { dispatcher } = this.#inside.searching
    const code = store.tags.code(asked.namespace)
    if (code === UNKNOWN) return Promise.resolve({ found: [], strangers: 0 })
    const choice = this.#choice(k, minScore)
    const { passing, cost } = this.#view(asked.namespace)
    return new Promise((done, fail) => {
      let found: Array<Found> = []
      let strangers = 0
      const take = (hits: Hits, i: number) => {
        const row = hits.rows[i]!
        if (!isCurrent(store, row, hits.generations[i]!) || scopeOf(store, row) !== code || this.isHidden(row)) return
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

  /** Whether the entry of a row is being written: it may be found by now, and what it is worth is not known before that is over. */
  isBeingWritten(row: number): boolean {
    return this.#turns.isAnyBusy && this.#turns.isBusy(this.keyOf(row))
  }

  /** Writes the entry of a request in place of what it had; durable, and its row, when this resolves. */
  put({ key, namespace }: Asked, vector: Float32Array, payload: Uint8Array): Promise<number> {
    const { writing } = this.#view(namespace)
    const entry = { key, vector, payload }
    return this.#turns.run([key], async () => {
      for (;;) {
        const before = this.rowOf(namespace, key)
        const bytes = before < 0 ? 0 : this.bytesOf(before)
        try {
          await settled(before < 0 ? writing.add(entry) : writing.update(entry))
        } catch (error) {
          // Somebody wrote or deleted it who does so past the cache.
          if (!(error instanceof DuplicateKey || error instanceof KeyNotFound)) throw error
          continue
        }
        const row = this.rowOf(namespace, key)
        if (row >= 0) this.counted(this.store.tags.code(namespace), before < 0 ? 1 : 0, this.bytesOf(row) - bytes)
        return row
      }
    })
  }

  /**
   * Deletes an entry: nobody finds it from now on, and it is gone for good when this resolves. One that a write under way
   * puts in its place stays where `isToGo` is not true of it.
   */
  async remove(row: number, isToGo: (row: number) => boolean): Promise<void> {
    if (this.isEntry(row)) await this.removeFrom([this.placeOf(row)], isToGo)
  }

  /** Hides the entry of a row that is there: nobody finds it from now on, and it is to be deleted. */
  leave(row: number): Leaving {
    const leaving = { ...this.placeOf(row), hash: this.hashOf(row), bytes: this.bytesOf(row) }
    this.hide(leaving.hash)
    // Whoever evicts is not to evict more than it must while the log is written.
    this.counted(leaving.scope, -1, -leaving.bytes)
    return leaving
  }

  /** Shows a hidden entry again, which is not to be deleted after all. */
  stay({ scope, hash, bytes }: Leaving): void {
    this.counted(scope, 1, bytes)
    this.unhide(hash)
  }

  /**
   * Deletes entries that are hidden, by one write; how many, when all are gone for good. They are there again when it rejects,
   * and one that a write under way replaced is where `isToGo` is not true of it any more.
   */
  async removeTogether(leaving: ReadonlyArray<Leaving>, isToGo: (row: number) => boolean = always): Promise<number> {
    if (leaving.length === 0) return 0
    const going = new Set(leaving)
    try {
      await this.#turns.run(
        leaving.map(({ key }) => key),
        async () => {
          for (const one of leaving) {
            const row = this.rowIn(one.scope, one.key)
            if (row < 0 || isToGo(row)) continue
            // At once: whoever wrote it may have been told so by now.
            going.delete(one)
            this.stay(one)
          }
          const gone = Array.from(going, (one) => ({ ...one, grown: this.#grown(one) }))
          await settled(this.#inside.removeTogether(gone))
          for (const { scope, grown } of gone) this.counted(scope, 0, -grown)
        }
      )
      for (const { key } of going) this.onRemoved(key)
      return going.size
    } catch (error) {
      for (const { scope, key, bytes } of going) if (this.rowIn(scope, key) >= 0) this.counted(scope, 1, bytes)
      throw error
    } finally {
      for (const { hash } of going) this.unhide(hash)
    }
  }

  /** Bytes that an entry has more than when it was hidden. */
  #grown({ scope, key, bytes }: Leaving): number {
    const row = this.rowIn(scope, key)
    return row < 0 ? 0 : this.bytesOf(row) - bytes
  }

  /** Deletes all entries that `isToGo` is true for; how many, when they are gone for good. Rejects with the first failure. */
  async removeAll(isToGo: (row: number) => boolean, signal?: AbortSignal): Promise<number> {
    let count = 0
    const met: Array<EntryPlace> = []
    const remove = async () => {
      count += await this.removeFrom(met.splice(0), isToGo)
    }
    await this.forEachRow(signal, (row) => {
      if (!this.isEntry(row) || !isToGo(row)) return undefined
      return met.push(this.placeOf(row)) < TOGETHER ? undefined : remove()
    })
    await remove()
    return count
  }

  /**
   * Deletes the entries of these places that `isToGo` is true for; how many, when they are gone for good. Those that
   * somebody else is deleting are waited for, and do not count.
   */
  async removeFrom(places: ReadonlyArray<EntryPlace>, isToGo: (row: number) => boolean): Promise<number> {
    let count = 0
    for (let left = places; left.length > 0; ) {
      const found = left.map((place) => ({ place, row: this.rowIn(place.scope, place.key) }))
      // All are judged before one is hidden: a clock of the caller's may throw.
      const going = found.filter(({ row }) => row >= 0 && isToGo(row))
      const leaving: Array<Leaving> = []
      const hidden: Array<EntryPlace> = []
      for (const { place, row } of going) {
        if (this.isThere(row)) leaving.push(this.leave(row))
        else hidden.push(place)
      }
      // Without a wait since they were hidden: whoever writes one of them from now on is behind, and adds it anew.
      count += await this.removeTogether(leaving, isToGo)
      if (hidden.length === 0) break
      await this.#turns.run([...new Set(hidden.map(({ key }) => key))], nothing)
      await inNextTurn()
      // Where that failed, they are there again.
      left = hidden
    }
    return count
  }

  /** Deletes an expired entry that nobody waits for to be gone: where that fails, whoever meets it next tries again. */
  removeSoon(row: number): void {
    this.remove(row, (now) => this.isOver(now)).catch(() => undefined)
  }

  /** Replaces what an entry holds by what `change` makes of it, and keeps its vector; nothing when that is undefined. */
  async rewrite(row: number, change: (entry: PackedEntry) => Uint8Array | undefined): Promise<void> {
    if (!this.isThere(row)) return
    const { store } = this
    const code = scopeOf(store, row)
    const namespace = store.tags.text(code)!
    const key = this.keyOf(row)
    await this.#turns.run([key], async () => {
      const found = this.findIn(namespace, key)
      const entry = found < 0 ? undefined : this.at(found)
      const payload = entry && change(entry)
      if (payload === undefined) return
      const bytes = this.bytesOf(found)
      try {
        await settled(this.#view(namespace).writing.update({ key, payload }))
      } catch (error) {
        if (error instanceof KeyNotFound) return
        throw error
      }
      this.counted(code, 0, this.bytesOf(this.rowOf(namespace, key)) - bytes)
    })
  }

  #view(namespace: string): View {
    const known = this.#views.get(namespace)
    if (known !== undefined) return known
    const view = {
      writing: this.#collection.namespace(namespace),
      passing: passingNamespace(this.store, namespace)(undefined),
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
    const { shape } = this.store
    // Few pass the least score: as many as it takes to rank them, and no more than a short search may score again.
    const rerank = shape.precision === "none" ? 0 : Math.max(RERANK, k)
    const choice = choose({ k, minScore, rerank }, shape)
    if (this.#choices.size >= REMEMBERED) this.#choices.clear()
    this.#choices.set(name, choice)
    return choice
  }
}
