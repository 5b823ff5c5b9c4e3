/** A store as a thread reads it, under claims that keep what it reads from being reused. */
import { Overloaded } from "../errors.ts"
import { type Directory, MAX_CLAIMS } from "./directory.ts"
import type { MemoryHandle, StoreShape } from "./memory.ts"
import type { EncodedKey, Rows } from "./rows.ts"

/** The owner's store, or the same memory attached to another thread. */
export interface Searchable extends Rows {
  readonly shape: StoreShape
  readonly directory: Directory
  /** Number under which this thread claims epochs. */
  readonly reader: number
  /** Rows that entries went from and to, a ring. */
  readonly moveLog: Uint32Array
  handle(): MemoryHandle
  /** Takes in memory made since, where another thread owns the store, and waits while that moves rows. */
  sync(): void
  /** The row of a key, or -1. */
  find(key: EncodedKey): number
}

/** A claim on the present epoch; `directory.release` ends it. */
export const claimEpoch = ({ directory, reader }: Searchable): number => {
  const claim = directory.claim(reader)
  if (claim < 0) throw new Overloaded({ limit: MAX_CLAIMS })
  return claim
}

/**
 * Runs work of other threads under a claim. `work` is told the index of the word that stops it, which is set once the
 * signal fires.
 */
export const whileClaimed = async <A>(
  memory: Searchable,
  signal: AbortSignal | undefined,
  work: (cancel: number) => Promise<A>
): Promise<A> => {
  const { directory, reader } = memory
  const claim = claimEpoch(memory)
  const cancel = () => directory.cancel(claim)
  if (signal?.aborted) cancel()
  signal?.addEventListener("abort", cancel, { once: true })
  try {
    return await work(directory.cancelWord(claim))
  } finally {
    signal?.removeEventListener("abort", cancel)
    directory.release(claim, reader)
  }
}

/** Reads under a claim: nothing that `read` finds is reused before it returns. */
export const underClaim = <A>(memory: Searchable, read: () => A): A => {
  const claim = claimEpoch(memory)
  try {
    memory.sync()
    return read()
  } finally {
    memory.directory.release(claim, memory.reader)
  }
}
