/**
 * The packed key index: key hash to row, open addressing with linear probing over u32 slots.
 *
 * A slot holds row + 1, 0 when empty. The home of a key is `hash * capacity / 2^32`, so a
 * capacity need not be a power of two and the load stays between .75 and .85. The 16-bit tag in
 * the row's cold column settles nearly every probe; the key itself is compared in the records.
 * Growing moves a few slots at each change, so no call pays for a whole table. Lookups on other
 * threads are guarded by the directory's key sequence (a sequence lock).
 */

const EMPTY = 0
/** A key deleted from the table that is being left: probes must not stop at it. */
const TOMBSTONE = 0xffffffff
/** Old slots moved by each change while the index grows. */
const MOVES = 32
const MAX_LOAD = 0.85
const FULL_LOAD = 0.75
const MIN_LOAD = 0.4
/** Odd, as every capacity is. */
const MIN_CAPACITY = 65

/** What the index asks of rows: the only link to records and segments. */
export interface KeyedRows {
  /** Whether `row` has this tag and key. */
  matches(row: number, tag: number, key: Uint8Array, length: number): boolean
  /** Key hash of `row`. */
  hash(row: number): number
}

/** MurmurHash3 x86 32 (Appleby, public domain) of `key[0..length)`, as u32. */
export const hashKey = (key: Uint8Array, length: number): number => {
  let hash = 0x5ab1e
  let i = 0
  for (; i + 4 <= length; i += 4) {
    hash ^= mix(key[i]! | (key[i + 1]! << 8) | (key[i + 2]! << 16) | (key[i + 3]! << 24))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let shift = 0; i < length; i++, shift += 8) tail |= key[i]! << shift
  if (tail !== 0) hash ^= mix(tail)
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const mix = (word: number): number => {
  const rotated = Math.imul(word, 0xcc9e2d51)
  return Math.imul((rotated << 15) | (rotated >>> 17), 0x1b873593)
}

/** The part of a hash kept in the cold column; homes use the high bits. */
export const tagOf = (hash: number): number => hash & 0xffff

const home = (hash: number, capacity: number): number => Math.floor((hash * capacity) / 4294967296)

const find = (table: Uint32Array, rows: KeyedRows, hash: number, key: Uint8Array, length: number): number => {
  const tag = tagOf(hash)
  for (let i = home(hash, table.length), probes = 0; probes < table.length; probes++) {
    const slot = table[i]!
    if (slot === EMPTY) return -1
    if (slot !== TOMBSTONE && rows.matches(slot - 1, tag, key, length)) return i
    if (++i === table.length) i = 0
  }
  return -1
}

/** The row of a key, or -1: on any thread. */
export const lookUp = (
  current: Uint32Array,
  previous: Uint32Array | undefined,
  rows: KeyedRows,
  hash: number,
  key: Uint8Array,
  length: number
): number => {
  const at = find(current, rows, hash, key, length)
  if (at >= 0) return current[at]! - 1
  if (previous === undefined) return -1
  const before = find(previous, rows, hash, key, length)
  return before < 0 ? -1 : previous[before]! - 1
}

const newTable = (capacity: number) => new Uint32Array(new SharedArrayBuffer(capacity * 4))

/** Changes the index: the one writer. */
export class KeyIndex {
  current: Uint32Array
  previous: Uint32Array | undefined
  size: number
  readonly #rows: KeyedRows
  readonly #replaced: () => void
  /** Next slot of `previous` to move. */
  #moving = 0

  /** `replaced` is called when a table was made or dropped, before anything is written to it. */
  constructor(rows: KeyedRows, replaced: () => void, table: Uint32Array = newTable(MIN_CAPACITY), size = 0) {
    this.#rows = rows
    this.#replaced = replaced
    this.current = table
    this.size = size
  }

  find(hash: number, key: Uint8Array, length: number): number {
    return lookUp(this.current, this.previous, this.#rows, hash, key, length)
  }

  /** Makes room for `count` more keys. */
  reserve(count: number): void {
    this.#resizeWhen(this.size + count > this.current.length * MAX_LOAD, this.size + count)
  }

  /** Adds a key that is not there. */
  insert(hash: number, row: number): void {
    this.reserve(1)
    this.#move()
    this.#put(hash, row)
    this.size++
  }

  /** Points a key that is there to another row. */
  replace(hash: number, key: Uint8Array, length: number, row: number): void {
    const at = find(this.current, this.#rows, hash, key, length)
    if (at >= 0) this.current[at] = row + 1
    else {
      this.#dropPrevious(hash, key, length)
      this.#put(hash, row)
    }
  }

  remove(hash: number, key: Uint8Array, length: number): void {
    const size = this.size - 1
    this.#resizeWhen(size < this.current.length * MIN_LOAD && this.current.length > MIN_CAPACITY, size)
    const at = find(this.current, this.#rows, hash, key, length)
    if (at >= 0) this.#close(at)
    else this.#dropPrevious(hash, key, length)
    this.size = size
    this.#move()
  }

  /** Moves on by one step; false when there is nothing left to move. An image holds one table. */
  step(): boolean {
    this.#move()
    return this.previous !== undefined
  }

  get touchedBytes(): number {
    return this.current.byteLength + (this.previous?.byteLength ?? 0)
  }

  #resizeWhen(wanted: boolean, size: number): void {
    if (!wanted) return
    while (this.step());
    // First, because memory may run out: then the table in force stays.
    const table = newTable(Math.max(MIN_CAPACITY, Math.ceil(size / FULL_LOAD)) | 1)
    this.previous = this.current
    this.#moving = 0
    this.current = table
    this.#replaced()
  }

  #move(): void {
    const table = this.previous
    if (table === undefined) return
    const end = Math.min(this.#moving + MOVES, table.length)
    for (; this.#moving < end; this.#moving++) {
      const slot = table[this.#moving]!
      if (slot === EMPTY || slot === TOMBSTONE) continue
      this.#put(this.#rows.hash(slot - 1), slot - 1)
      table[this.#moving] = TOMBSTONE
    }
    if (end === table.length) {
      this.previous = undefined
      this.#replaced()
    }
  }

  #put(hash: number, row: number): void {
    const table = this.current
    let i = home(hash, table.length)
    while (table[i] !== EMPTY) if (++i === table.length) i = 0
    table[i] = row + 1
  }

  #dropPrevious(hash: number, key: Uint8Array, length: number): void {
    const table = this.previous
    const at = table === undefined ? -1 : find(table, this.#rows, hash, key, length)
    if (table !== undefined && at >= 0) table[at] = TOMBSTONE
  }

  /** Empties a slot and moves back what probed past it (Knuth, TAOCP 6.4, algorithm R). */
  #close(hole: number): void {
    const table = this.current
    let empty = hole
    for (let i = hole; ; ) {
      if (++i === table.length) i = 0
      const slot = table[i]!
      if (slot === EMPTY) break
      const start = home(this.#rows.hash(slot - 1), table.length)
      const reachable = empty <= i ? start > empty && start <= i : start > empty || start <= i
      if (reachable) continue
      table[empty] = slot
      empty = i
    }
    table[empty] = EMPTY
  }
}
