/** The rows of a cache: which there are, how many of each scope, and what lies in them. */

import { bytesAnEntry, bytesListed } from "../collection/bytes.ts"
import type { EntryPlace } from "../collection/removing.ts"
import { RowWalk } from "../collection/row-walk.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { addressOf, encodeKey, NO_NAMESPACE, scopeOf } from "../store/rows.ts"
import type { Store } from "../store/store.ts"
import { UNKNOWN } from "../store/tags.ts"
import { inNextTurn, leftInTurn } from "../turn.ts"
import type { CacheSettings } from "./options.ts"
import { PackedEntry } from "./packed.ts"
import type { Asked } from "./request.ts"

/** Steps between two looks at the clock, where a step takes a microsecond or less. */
const STEPS_A_LOOK = 8

/** An entry as it was found: its row may be another's by the time it is looked at again. */
interface Place {
  readonly row: number
  readonly key: string
}

export class EntryRows {
  protected readonly store: Store
  /**
   * Hashes of keys that are being deleted, with how many times: nobody finds them while the log is written. Rows would not
   * do, which change hands when entries are moved or replaced meanwhile.
   */
  readonly #hidden = new Map<number, number>()
  /** Bytes of an entry in inverted lists. */
  readonly #listed: number
  readonly #clock: () => number
  readonly #staleMs: number
  /** Entries of each namespace, by its code. */
  readonly #counts: Array<number> = []
  #size = 0
  #bytes = 0

  constructor(store: Store, { clock, staleMs }: Pick<CacheSettings, "clock" | "staleMs">) {
    this.store = store
    this.#listed = bytesListed(store.shape)
    this.#clock = clock
    this.#staleMs = staleMs
  }

  /** Entries of all scopes. */
  get size(): number {
    return this.#size
  }

  /** Whole bytes of memory of all entries: columns, payloads, and what is in inverted lists where there are any. */
  get bytes(): number {
    return Math.ceil(this.#bytes + (this.store.lists === undefined ? 0 : this.#listed * this.#size))
  }

  /** Entries of the namespace of a request: of its scope, and of the few that share it. */
  sizeOf({ namespace }: Pick<Asked, "namespace">): number {
    return this.#counts[this.store.tags.code(namespace)] ?? 0
  }

  /** Counts the entry of a row that was there when the cache was opened, if there is one. */
  count(row: number): undefined {
    if (this.isThere(row)) this.counted(scopeOf(this.store, row), 1, this.bytesOf(row))
  }

  /** The next row each time, until there is none: each entry is met once, though entries are moved meanwhile. */
  walk(): () => number | undefined {
    const walk = new RowWalk(this.store)
    return () => walk.next((row) => row)?.value
  }

  /**
   * Calls `step` with the row of every entry that is there from now on to the end, once, though entries are moved meanwhile,
   * and waits for what it returns; lets other work run about every millisecond. Stops with the signal's reason when it
   * fires.
   */
  async forEachRow(signal: AbortSignal | undefined, step: (row: number) => Promise<void> | undefined): Promise<void> {
    const next = this.walk()
    for (let looked = 1; ; looked++) {
      const row = next()
      if (row === undefined) return
      const wait = step(row)
      if (wait !== undefined) await wait
      if (looked % STEPS_A_LOOK !== 0 || leftInTurn() > 0) continue
      await inNextTurn()
      signal?.throwIfAborted()
    }
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

  /** Whether a row holds an entry, be it one that is being deleted. */
  isEntry(row: number): boolean {
    const segment = this.store.segments[Math.floor(row / SLOTS)]
    if (segment === undefined || !isLive(segment, row % SLOTS)) return false
    // What lies outside of all namespaces is no entry.
    return segment.scope[row % SLOTS] !== NO_NAMESPACE
  }

  /** Whether a row holds an entry that may be found. */
  isThere(row: number): boolean {
    return this.isEntry(row) && !this.isHidden(row)
  }

  /** Whether a row holds what lies outside of all namespaces. */
  isBeside(row: number): boolean {
    const segment = this.store.segments[Math.floor(row / SLOTS)]
    return segment !== undefined && isLive(segment, row % SLOTS) && segment.scope[row % SLOTS] === NO_NAMESPACE
  }

  /** The entry of a row that is there; undefined when it holds something else. Valid until the turn ends. */
  at(row: number): PackedEntry | undefined {
    const { store } = this
    return PackedEntry.over(store.records.bytesAt(addressOf(store, row)))
  }

  /** Whether this is what is stored of the entry of a row. */
  holds(row: number, payload: Buffer): boolean {
    const { store } = this
    return store.records.bytesAt(addressOf(store, row))?.equals(payload) === true
  }

  /** Whether a row still holds the entry that was found in it. */
  isStill({ row, key }: Place): boolean {
    return this.isThere(row) && this.keyOf(row) === key
  }

  keyOf(row: number): string {
    const { store } = this
    return store.records.key(addressOf(store, row))
  }

  /** Where the entry of a row is, whichever row that will be. */
  placeOf(row: number): EntryPlace {
    return { scope: scopeOf(this.store, row), key: this.keyOf(row) }
  }

  /** Hash of the key of a row, u32. */
  hashOf(row: number): number {
    const { store } = this
    return store.records.hash(addressOf(store, row))
  }

  /** Bytes of memory that an entry takes, columns and all but lists. */
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
    const row = this.rowOf(namespace, key)
    return row >= 0 && this.isThere(row) ? row : -1
  }

  /** The row of a key in any namespace, where it is until the turn ends, be it being deleted; -1 when there is none. Looks into each. */
  async findKey(key: string): Promise<number> {
    const { store } = this
    for (let code = UNKNOWN + 1; ; code++) {
      const namespace = store.tags.text(code)
      if (namespace === undefined) return -1
      const row = this.rowOf(namespace, key)
      if (row >= 0) return row
      if (code % STEPS_A_LOOK === 0 && leftInTurn() <= 0) await inNextTurn()
    }
  }

  /** Whether anything was ever written in the namespace of a request. */
  knows({ namespace }: Asked): boolean {
    return this.store.tags.code(namespace) !== UNKNOWN
  }

  /** When the time of an entry is over, that to be served stale included; never for what somebody else wrote. */
  overAt(row: number): number {
    const { store } = this
    const expires = store.records.readBytes(addressOf(store, row), PackedEntry.expiresIn)
    return (expires ?? Number.POSITIVE_INFINITY) + this.#staleMs
  }

  isOver(row: number): boolean {
    return this.#clock() >= this.overAt(row)
  }

  /** The row of a key, whether or not it is being deleted; -1 when there is none. */
  rowOf(namespace: string, key: string): number {
    const code = this.store.tags.code(namespace)
    return code === UNKNOWN ? -1 : this.rowIn(code, key)
  }

  /** As `rowOf`, of a namespace by its code. */
  protected rowIn(code: number, key: string): number {
    const encoded = encodeKey(key, code)
    return encoded === undefined ? -1 : this.store.find(encoded)
  }

  protected counted(code: number, entries: number, bytes: number): void {
    this.#size += entries
    this.#bytes += bytes
    this.#counts[code] = (this.#counts[code] ?? 0) + entries
  }

  protected isHidden(row: number): boolean {
    return this.#hidden.size > 0 && this.#hidden.has(this.hashOf(row))
  }

  /** Hides the keys of a hash, until each call is taken back by `unhide`. */
  protected hide(hash: number): void {
    this.#hidden.set(hash, (this.#hidden.get(hash) ?? 0) + 1)
  }

  protected unhide(hash: number): void {
    const count = this.#hidden.get(hash)! - 1
    if (count > 0) this.#hidden.set(hash, count)
    else this.#hidden.delete(hash)
  }
}
