/**
 * PCG64 (a 128-bit linear congruential generator whose output is XSL-RR), seeded and buffered
 * as NumPy's `default_rng(seed)` does it: each 64-bit output serves two 32-bit draws, low half first.
 */
import { seedSequence } from "./seed-sequence.ts"

/** Draws the next 32 bits. */
export type Uint32Source = () => number

/** 16-bit limbs of a 128-bit integer: sums of eight products of limbs stay exact in a double. */
const LIMBS = 8
/** 0x2360ed051fc65da44385df649fccf645, lowest limb first. */
const MULTIPLIER = new Uint16Array([0xf645, 0x9fcc, 0xdf64, 0x4385, 0x5da4, 0x1fc6, 0xed05, 0x2360])

/** The limbs of the 128-bit integer whose low and high halves are the given pairs of 32-bit words. */
const limbs = (lowLow: number, lowHigh: number, highLow: number, highHigh: number): Uint16Array =>
  Uint16Array.from([lowLow, lowHigh, highLow, highHigh].flatMap((word) => [word & 0xffff, word >>> 16]))

/** `state = state * factor + increment` modulo 2^128. */
const multiplyAdd = (state: Uint16Array, factor: Uint16Array, increment: Uint16Array, scratch: Uint16Array): void => {
  let carry = 0
  for (let i = 0; i < LIMBS; i++) {
    let sum = carry + increment[i]!
    for (let j = 0; j <= i; j++) sum += state[j]! * factor[i - j]!
    scratch[i] = sum % 0x10000
    carry = Math.floor(sum / 0x10000)
  }
  state.set(scratch)
}

/** The 32-bit stream of NumPy's `default_rng(seed)`, for an integer seed in [0, 2^32). */
export const pcg64 = (seed: number): Uint32Source => {
  const words = seedSequence(seed, 8)
  const start = limbs(words[2]!, words[3]!, words[0]!, words[1]!)
  const scratch = new Uint16Array(LIMBS)
  const one = limbs(1, 0, 0, 0)
  const increment = limbs(words[6]!, words[7]!, words[4]!, words[5]!)
  multiplyAdd(increment, limbs(2, 0, 0, 0), one, scratch)
  const state = increment.slice()
  multiplyAdd(state, one, start, scratch)
  multiplyAdd(state, MULTIPLIER, increment, scratch)

  let buffered = false
  let high = 0
  return () => {
    if (buffered) {
      buffered = false
      return high
    }
    multiplyAdd(state, MULTIPLIER, increment, scratch)
    let low = (state[0]! | (state[1]! << 16)) ^ (state[4]! | (state[5]! << 16))
    high = (state[2]! | (state[3]! << 16)) ^ (state[6]! | (state[7]! << 16))
    const rotation = state[7]! >>> 10
    if (rotation & 32) [low, high] = [high, low]
    const shift = rotation & 31
    if (shift !== 0) {
      const rotated = (low >>> shift) | (high << (32 - shift))
      high = (high >>> shift) | (low << (32 - shift))
      low = rotated
    }
    high >>>= 0
    buffered = true
    return low >>> 0
  }
}
