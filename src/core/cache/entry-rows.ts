/** The rows of a cache: which there are, how many of each scope, and what lies in them. */

import { bytesAnEntry } from "../collection/bytes.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { addressOf, encodeKey, NO_NAMESPACE, scopeOf } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { UNKNOWN } from "../store/tags.ts"
import type { CacheSettings } from "./options.ts"
import { PackedEntry } from "./packed.ts"
import type { Asked } from "./request.ts"

/** An entry as it was found: its row may be another's by the time it is looked at again. */
interface Place {
  readonly row: number
  readonly key: string
}

export class EntryRows {
  protected readonly store: Store
  /** Rows that are being deleted: nobody finds them while the log is written. */
  protected readonly hidden = new Set<number>()
  readonly #clock: () => number
  readonly #staleMs: number
  /** Entries of each namespace, by its code. */
  readonly #counts: Array<number> = []
  #size = 0

  constructor(store: Store, { clock, staleMs }: Pick<CacheSettings, "clock" | "staleMs">) {
    this.store = store
    this.#clock = clock
    this.#staleMs = staleMs
  }

  /** Entries of all scopes. */
  get size(): number {
    return this.#size
  }

  /** Entries of the namespace of a request: of its scope, and of the few that share it. */
  sizeOf({ namespace }: Pick<Asked, "namespace">): number {
    return this.#counts[this.store.tags.code(namespace)] ?? 0
  }

  /** Counts the entry of a row that was there when the cache was opened; false when there is none. */
  count(row: number): boolean {
    if (!this.isThere(row)) return false
    this.counted(scopeOf(this.store, row), 1)
    return true
  }

  /** One past the highest row. */
  get rows(): number {
    return this.store.directory.rows
  }

  /** The bytes per row that belong to whoever decides what gives way. */
  marks(row: number): { readonly frequency: Uint8Array; readonly flags: Uint8Array; readonly slot: number } {
    const { frequency, flags } = this.store.segments[Math.floor(row / SLOTS)]!
    return { frequency, flags, slot: row % SLOTS }
  }

  /** Whether a row holds an entry that may be found. */
  isThere(row: number): boolean {
    const segment = this.store.segments[Math.floor(row / SLOTS)]
    if (segment === undefined || !isLive(segment, row % SLOTS) || this.hidden.has(row)) return false
    // What lies outside of all namespaces is no entry.
    return segment.scope[row % SLOTS] !== NO_NAMESPACE
  }

  /** The entry of a row that is there; undefined when it holds something else. Valid until the turn ends. */
  at(row: number): PackedEntry | undefined {
    const { store } = this
    return PackedEntry.over(store.records.bytesAt(addressOf(store, row)))
  }

  /** Whether a row still holds the entry that was found in it. */
  isStill({ row, key }: Place): boolean {
    return this.isThere(row) && this.keyOf(row) === key
  }

  keyOf(row: number): string {
    const { store } = this
    return store.records.key(addressOf(store, row))
  }

  /** Hash of the key of a row, u32. */
  hashOf(row: number): number {
    const { store } = this
    return store.records.hash(addressOf(store, row))
  }

  /** Bytes of memory that an entry takes, columns and all. */
  bytesOf(row: number): number {
    const { store } = this
    return bytesAnEntry(store.shape) + store.records.usedBytes(addressOf(store, row))
  }

  /** The row of the same request; -1 when there is none. */
  find({ key, namespace, scope }: Asked): number {
    const row = this.findIn(namespace, key)
    return row >= 0 && this.at(row)?.isOf(scope) ? row : -1
  }

  /** The row of a key in a namespace; -1 when there is none. */
  findIn(namespace: string, key: string): number {
    const { store } = this
    const code = store.tags.code(namespace)
    const encoded = code === UNKNOWN ? undefined : encodeKey(key, code)
    const row = encoded === undefined ? -1 : store.find(encoded)
    return row >= 0 && this.isThere(row) ? row : -1
  }

  /** The row of a key in any namespace; -1 when there is none. Looks into each. */
  findKey(key: string): number {
    const { store } = this
    for (let code = UNKNOWN + 1; ; code++) {
      const namespace = store.tags.text(code)
      if (namespace === undefined) return -1
      const row = this.findIn(namespace, key)
      if (row >= 0) return row
    }
  }

  /** Whether anything was ever written in the namespace of a request. */
  knows({ namespace }: Asked): boolean {
    return this.store.tags.code(namespace) !== UNKNOWN
  }

  /** Whether the time of an entry is over, that to be served stale included. */
  isOver(row: number): boolean {
    const expires = this.at(row)?.expires
    return expires === undefined || this.#clock() >= expires + this.#staleMs
  }

  protected counted(code: number, difference: number): void {
    this.#size += difference
    this.#counts[code] = (this.#counts[code] ?? 0) + difference
  }
}
