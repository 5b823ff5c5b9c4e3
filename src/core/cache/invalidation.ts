/**
 * What is to be gone. Entries that are asked for are found by going over all of them in slices; from the call on none is
 * served, whether the slice has reached it or not, and no answer that was being made meanwhile is kept.
 */
import { object, shown } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import type { CacheEntries } from "./entries.ts"
import type { Notes, PackedEntry } from "./packed.ts"

/** Which entries are to be gone: those for which every part holds. At least one part is needed. */
export interface Invalidation {
  /** The entry of this key. */
  readonly key?: string | undefined
  /** Entries with this tag. */
  readonly tag?: string | undefined
  /** Entries whose answers were made from this document. */
  readonly source?: string | undefined
  /** Entries of the scope of a request: its tenant, model, system prompt, tools, parameters and earlier messages. */
  readonly scope?: Buffer | undefined
  /** Entries that are so many milliseconds old or older. */
  readonly olderThanMs?: number | undefined
}

/** What of an entry decides. */
interface Judged {
  readonly key: string
  readonly made: number
  readonly notes: () => Notes
  readonly isOf: (scope: Buffer) => boolean
}

/** An invalidation at one moment, as a test of entries. */
type Test = (entry: Judged) => boolean

/** Rows that are deleted at one time. */
const AT_ONCE = 64

const judgedOf = (key: string, entry: PackedEntry): Judged => ({
  key,
  made: entry.made,
  notes: () => entry.notes,
  isOf: (scope) => entry.isOf(scope)
})

const testOf = (invalidation: Invalidation, now: number): Test => {
  const { key, tag, source, scope, olderThanMs } = object("invalidation", invalidation)
  const parts = [key, tag, source, scope, olderThanMs].filter((part) => part !== undefined)
  const wrong = (reason: string) => new InvalidParameter({ parameter: "invalidation", reason })
  if (parts.length === 0) throw wrong("wanted a key, tag, source, scope or age")
  for (const text of [key, tag, source]) {
    if (text !== undefined && typeof text !== "string") throw wrong(`wanted a text, got ${shown(text)}`)
  }
  if (olderThanMs !== undefined && !(olderThanMs >= 0)) throw wrong("olderThanMs: wanted milliseconds, 0 or more")
  return (entry) =>
    (key === undefined || entry.key === key) &&
    (olderThanMs === undefined || entry.made <= now - olderThanMs) &&
    (scope === undefined || entry.isOf(scope)) &&
    (tag === undefined || entry.notes().tags?.includes(tag) === true) &&
    (source === undefined || entry.notes().sources?.includes(source) === true)
}

export class Invalidations {
  readonly #entries: CacheEntries
  readonly #clock: () => number
  /** Those whose entries may still be there. */
  readonly #underWay = new Set<Test>()
  /** Those since the oldest answer began that is being made. */
  #since: Array<{ readonly at: number; readonly test: Test }> = []
  readonly #making = new Set<{ readonly at: number }>()
  #count = 0

  constructor(entries: CacheEntries, clock: () => number) {
    this.#entries = entries
    this.#clock = clock
  }

  /** Whether an entry is being deleted, or is about to be. */
  covers(key: string, entry: PackedEntry): boolean {
    if (this.#underWay.size === 0) return false
    const judged = judgedOf(key, entry)
    for (const test of this.#underWay) if (test(judged)) return true
    return false
  }

  /** Marks the time from which invalidations concern an answer that is being made: `end` it when it has been kept. */
  begin(): { readonly isStale: (entry: Judged) => boolean; readonly end: () => void } {
    const making = { at: this.#count }
    this.#making.add(making)
    return {
      isStale: (entry) => this.#since.some(({ at, test }) => at > making.at && test(entry)),
      end: () => {
        this.#making.delete(making)
        if (this.#making.size === 0) this.#since = []
      }
    }
  }

  /** Deletes entries; how many, once they are gone for good. */
  async run(invalidation: Invalidation): Promise<number> {
    const test = testOf(invalidation, this.#clock())
    this.#count++
    if (this.#making.size > 0) this.#since.push({ at: this.#count, test })
    this.#underWay.add(test)
    try {
      if (invalidation.key !== undefined) return await this.#one(invalidation.key, test)
      return await this.#all(test)
    } finally {
      this.#underWay.delete(test)
    }
  }

  async #one(key: string, test: Test): Promise<number> {
    const row = this.#entries.findKey(key)
    const entry = row < 0 ? undefined : this.#entries.at(row)
    if (entry === undefined || !test(judgedOf(key, entry))) return 0
    await this.#entries.remove(row)
    return 1
  }

  async #all(test: Test): Promise<number> {
    const removals: Array<Promise<void>> = []
    let count = 0
    for (let from = 0; from < this.#entries.rows; from += SPAN) {
      await forEachSliced(Math.min(SPAN, this.#entries.rows - from), undefined, (i) => {
        const row = from + i
        const entry = this.#entries.isThere(row) ? this.#entries.at(row) : undefined
        if (entry === undefined || !test(judgedOf(this.#entries.keyOf(row), entry))) return
        count++
        removals.push(this.#entries.remove(row))
      })
      if (removals.length >= AT_ONCE) await Promise.all(removals.splice(0))
    }
    await Promise.all(removals)
    return count
  }
}

/** Rows looked at before those to be deleted are. */
const SPAN = 256
