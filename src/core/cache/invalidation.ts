/**
 * What is to be gone. Entries that are asked for are found by going over all of them in slices; from the call on none is
 * served, whether the slice has reached it or not, and no answer that was being made meanwhile is kept.
 */
import { object, shown } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import type { CacheEntries } from "./entries.ts"
import type { Notes, PackedEntry } from "./packed.ts"
import { type Asked, namespaceOf } from "./request.ts"

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

/** An answer that is being made, as invalidations see it. */
export interface Making {
  /** When it was begun, in milliseconds since 1970: so old is what it says, whenever it is kept. */
  readonly began: number
  /** Whether it was invalidated since it was begun. */
  readonly isStale: (judged: Judged) => boolean
  /** Has those who invalidate it from now on wait for its write, which looks at `isStale` when it is done. */
  readonly writing: <A>(judged: Judged, write: Promise<A>) => Promise<A>
  /** To be called when it has been kept, or will not be. */
  readonly end: () => void
}

/** An invalidation at one moment, as a test of entries. */
type Test = (entry: Judged) => boolean

/** An answer to a request that was begun at some time, as an entry that it may become. */
export const judgedAs = (
  { key, scope }: Pick<Asked, "key" | "scope">,
  { began }: Pick<Making, "began">,
  notes: Notes
): Judged => ({ key, made: began, notes: () => notes, isOf: scope.equals.bind(scope) })

/** None where somebody else wrote what is no JSON, or something else. */
const notesOf = (entry: PackedEntry): Notes => {
  try {
    return entry.notes
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

const judgedOf = (key: string, entry: PackedEntry): Judged => ({
  key,
  made: entry.made,
  notes: () => notesOf(entry),
  isOf: (scope) => entry.isOf(scope)
})

const isAmong = (texts: unknown, text: string): boolean => Array.isArray(texts) && texts.includes(text)

const testOf = (invalidation: Invalidation, now: number): Test => {
  const { key, tag, source, scope, olderThanMs } = object("invalidation", invalidation)
  const parts = [key, tag, source, scope, olderThanMs].filter((part) => part !== undefined)
  const wrong = (reason: string) => new InvalidParameter({ parameter: "invalidation", reason })
  if (parts.length === 0) throw wrong("wanted a key, tag, source, scope or age")
  for (const text of [key, tag, source]) {
    if (text !== undefined && typeof text !== "string") throw wrong(`wanted a text, got ${shown(text)}`)
  }
  if (olderThanMs !== undefined && !(typeof olderThanMs === "number" && olderThanMs >= 0))
    throw wrong("olderThanMs: wanted milliseconds, 0 or more")
  return (entry) =>
    (key === undefined || entry.key === key) &&
    (olderThanMs === undefined || entry.made <= now - olderThanMs) &&
    (scope === undefined || entry.isOf(scope)) &&
    (tag === undefined || isAmong(entry.notes().tags, tag)) &&
    (source === undefined || isAmong(entry.notes().sources, source))
}

export class Invalidations {
  readonly #entries: CacheEntries
  readonly #clock: () => number
  /** Those whose entries may still be there. */
  readonly #underWay = new Set<Test>()
  /** Those since the oldest answer began that is being made. */
  #since: Array<{ readonly at: number; readonly test: Test }> = []
  readonly #making = new Set<{ readonly at: number }>()
  /** Answers that are being written, and when they were begun. */
  readonly #writes = new Set<{ readonly at: number; readonly judged: Judged; readonly write: Promise<unknown> }>()
  #count = 0

  constructor(entries: CacheEntries, clock: () => number) {
    this.#entries = entries
    this.#clock = clock
  }

  /** Whether an entry is being deleted, or is about to be. */
  covers(key: string, entry: PackedEntry): boolean {
    if (this.#underWay.size === 0 && this.#since.length === 0) return false
    const judged = judgedOf(key, entry)
    for (const test of this.#underWay) if (test(judged)) return true
    // It may have been written just now, by whoever is about to find that it must go.
    for (const { at, judged: own } of this.#writes) if (own.key === key && this.#isStale(at, own)) return true
    return false
  }

  /** Marks the time from which invalidations concern an answer that is being made. */
  begin(): Making {
    const making = { at: this.#count }
    this.#making.add(making)
    return {
      began: this.#clock(),
      isStale: (judged) => this.#isStale(making.at, judged),
      writing: (judged, write) => {
        const written = { at: making.at, judged, write }
        this.#writes.add(written)
        return write.finally(() => this.#writes.delete(written))
      },
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
    // What is being written is found by nobody yet, and deleted by who writes it.
    const writes = Array.from(this.#writes).flatMap(({ judged, write }) => (test(judged) ? [write] : []))
    const written = Promise.all(writes)
    written.catch(() => undefined)
    try {
      const { key, scope } = invalidation
      const count = await (key === undefined ? this.#all(test) : this.#one(key, scope, test))
      await written
      return count
    } finally {
      this.#underWay.delete(test)
    }
  }

  #isStale(begun: number, judged: Judged): boolean {
    return this.#since.some(({ at, test }) => at > begun && test(judged))
  }

  async #one(key: string, scope: Buffer | undefined, test: Test): Promise<number> {
    const entries = this.#entries
    const row = scope === undefined ? await entries.findKey(key) : entries.rowOf(namespaceOf(scope), key)
    return row < 0 ? 0 : entries.removeFrom([entries.placeOf(row)], this.#isMeant(test))
  }

  #all(test: Test): Promise<number> {
    return this.#entries.removeAll(this.#isMeant(test))
  }

  #isMeant(test: Test): (row: number) => boolean {
    const entries = this.#entries
    return (row) => {
      const entry = entries.at(row)
      return entry !== undefined && test(judgedOf(entries.keyOf(row), entry))
    }
  }
}
