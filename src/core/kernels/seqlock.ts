/**
 * The generation of a slot as a sequence lock: ARCHITECTURE.md, "Concurrency contract".
 *
 * Plain loads and stores may move past a single atomic on some CPUs. A sequentially consistent
 * store followed by a load stays in place on all of them, so the pair on a word of this thread's
 * own is the fence.
 */

const word = new Int32Array(new SharedArrayBuffer(4))

/** Keeps plain loads and stores of this thread on their side of it. */
export const fence = (): void => {
  Atomics.store(word, 0, 0)
  Atomics.load(word, 0)
}

/** Makes the generation odd before the slot is written. */
export const beginWrite = (generations: Uint16Array, slot: number): void => {
  Atomics.or(generations, slot, 1)
  fence()
}

/** Makes the generation even after the slot was written. */
export const endWrite = (generations: Uint16Array, slot: number): void => {
  Atomics.add(generations, slot, 1)
}

/** The generation before the slot is read; odd when it must not be. */
export const beginRead = (generations: Uint16Array, slot: number): number => Atomics.load(generations, slot)

/** Whether what was read since `beginRead` gave `generation` is one whole, still live row. */
export const isWhole = (generations: Uint16Array, live: Int32Array, slot: number, generation: number): boolean => {
  fence()
  return (
    (generation & 1) === 0 &&
    Atomics.load(generations, slot) === generation &&
    ((liveHalf(live, slot >>> 5) >>> (slot & 31)) & 1) === 1
  )
}

/** Whether a lane of a block is live, by the two halves of its live word. */
export const isLive = (low: number, high: number, lane: number): boolean =>
  (((lane < 32 ? low : high) >>> (lane & 31)) & 1) === 1

/** Live bits of slots `32 * half .. 32 * half + 32`. Read before the codes they speak for. */
export const liveHalf = (live: Int32Array, half: number): number => Atomics.load(live, half)
