/** Data from a seed: what a failing run needs to be repeated is one number. */

/** A generator of integers in `0 .. 2^32` (mulberry32). */
export const randomBits = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** `length` bytes. */
export const randomBytes = (seed: number, length: number): Uint8Array => Uint8Array.from({ length }, randomBits(seed))

/** What a vector's components are like. */
export const KINDS = ["ordinary", "sparse", "denormal", "huge", "mixed"] as const
export type Kind = (typeof KINDS)[number]

/** `length` components; magnitudes stay where no score overflows f32. */
export const randomVectors = (seed: number, length: number, kind: Kind = "ordinary"): Float32Array => {
  const bits = randomBits(seed)
  const uniform = () => bits() / 2 ** 32
  const bell = () => uniform() + uniform() + uniform() + uniform() - 2
  const component: Record<Kind, () => number> = {
    ordinary: bell,
    sparse: () => (bits() % 4 === 0 ? bell() : 0),
    denormal: () => bell() * 2 ** -130,
    huge: () => bell() * 2 ** 40,
    mixed: () => bell() * 2 ** ((bits() % 80) - 40)
  }
  return Float32Array.from({ length }, component[kind])
}

/** `count` different numbers below `bound`. */
export const randomSubset = (seed: number, count: number, bound: number): Uint32Array => {
  const bits = randomBits(seed)
  const chosen = new Set<number>()
  while (chosen.size < Math.min(count, bound)) chosen.add(bits() % bound)
  return Uint32Array.from(chosen)
}
