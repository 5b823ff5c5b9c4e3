/** A write on its way: prepared where nobody can find it, kept by the log, put in force. */
import { atOnce, making, type Start } from "../lift.ts"
import { encodeFrame, type Frame } from "../log/frame.ts"
import type { CollectionLog } from "../log/storage.ts"

/** A write that was checked and prepared: nothing of it can be found yet. */
export interface Prepared<A> {
  /** What the log is to keep of it; absent for a write that changes nothing. */
  readonly frames?: ReadonlyArray<Frame>
  /** Does early what `commit` does otherwise, while the log is written. */
  readonly meanwhile?: () => void
  /** Puts it in force; nothing is left that could fail but memory for the key index. */
  readonly commit: () => A
  /** Takes back what was set aside. */
  readonly abort?: () => void
}

/** Prepares a write, makes it durable where there is a log, and puts it in force. It is not stopped. */
export const carryOut = <A>(log: CollectionLog | undefined, prepare: () => Prepared<A>): Start<A> =>
  making(() => {
    const { frames, meanwhile, commit, abort } = prepare()
    if (log === undefined || frames === undefined) return atOnce(commit)
    return (done, fail) => {
      const takeBack = (error: unknown) => {
        abort?.()
        fail(error)
      }
      const append = (bytes: ReadonlyArray<Uint8Array<ArrayBuffer>>) => {
        log.append(bytes, meanwhile).then(() => void atOnce(commit)(done, fail), takeBack)
      }
      return atOnce(() => frames.map(encodeFrame))(append, takeBack)
    }
  })
