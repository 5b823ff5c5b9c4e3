/** Whether the frames of a log follow one another: each names the one before it of its collection. */
import type { FrameNumber } from "../log/frame.ts"

/** Frames of a collection that are missing: after `from`, up to `to`. */
interface Gap {
  readonly collection: number
  readonly from: number
  readonly to: number
}

export class Chains {
  readonly gaps: Array<Gap> = []
  /** The newest frame met of each collection. */
  readonly #last = new Map<number, number>()
  /** Highest number of any frame met. */
  highest = 0

  /** Frames of a collection up to `folded` are in the log no more. */
  start(collection: number, folded: number): void {
    this.#last.set(collection, folded)
  }

  /** Takes the next frame of the log, in order of number. */
  take({ collection, number, previous }: FrameNumber): void {
    const last = this.lastOf(collection)
    if (previous > last) this.gaps.push({ collection, from: last, to: previous })
    this.#last.set(collection, number)
    this.highest = Math.max(this.highest, number)
  }

  /** The newest frame met of a collection, or that was folded; 0 for none. */
  lastOf(collection: number): number {
    return this.#last.get(collection) ?? 0
  }
}
