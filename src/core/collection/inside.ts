/** What a memory that keeps its entries in a collection reaches of it, beside what every caller can. */
import type * as Effect from "effect/Effect"
import { InvalidParameter, type SabineError } from "../errors.ts"
import type { Pool } from "../pool.ts"
import type { Store } from "../store/store.ts"
import type { Searching } from "./reading.ts"
import type { EntryPlace } from "./removing.ts"
import type { EmbedTexts } from "./texts.ts"

interface Inside {
  /** Rows by number: hits and records are read in place, without an object for each. */
  readonly store: Store
  readonly searching: Searching
  readonly embed: EmbedTexts
  /** Takes away those entries of different places that are there, by one write. */
  readonly removeTogether: (places: ReadonlyArray<EntryPlace>) => Effect.Effect<void, SabineError>
  /** Runs what workers export: what would hold the event loop up. */
  readonly run: Pool["Service"]["run"]
  /** Whether what is written outlives the process. */
  readonly isKept: boolean
  /** Throws `CollectionReplaced` once a checkpoint was restored: what is here is of the state before. */
  readonly checkCurrent: () => void
  /** Goes on without lists, or without the graph: what is asked for is made anew once that is due. */
  readonly dropIndex: (index: "hnsw" | "ivf") => Effect.Effect<void, SabineError>
  /** Runs `work` before the collection ends, while it can still be written; returns what takes that back. */
  readonly beforeEnd: (work: () => Promise<void>) => () => void
}

const insides = new WeakMap<object, Inside>()

/** Lets `insideOf` find what a collection is made of. */
export const reveal = <C extends object>(collection: C, inside: Inside): C => {
  insides.set(collection, inside)
  return collection
}

/** What a collection is made of; throws `InvalidParameter` for what is none of this thread's own. */
export const insideOf = (collection: object): Inside => {
  const inside = insides.get(collection)
  if (inside !== undefined) return inside
  throw new InvalidParameter({ parameter: "collection", reason: "wanted a collection that this thread opened" })
}
