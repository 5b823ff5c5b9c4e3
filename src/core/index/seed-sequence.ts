/**
 * NumPy's `SeedSequence`: spreads an integer seed over as many well mixed words as wanted.
 * All arithmetic is modulo 2^32.
 */

/** Words of the entropy pool. */
const POOL = 4
const MULTIPLIER_A = 0x931e8875
const MULTIPLIER_B = 0x58f38ded
const MIX_LEFT = 0xca01f9dd
const MIX_RIGHT = 0x4973f715

/** A hash whose constant changes with each call, so equal inputs give unequal outputs. */
const hasher = (start: number, multiplier: number) => {
  let constant = start
  return (value: number): number => {
    const keyed = value ^ constant
    constant = Math.imul(constant, multiplier)
    const product = Math.imul(keyed, constant)
    return (product ^ (product >>> 16)) >>> 0
  }
}

const mix = (left: number, right: number): number => {
  const mixed = (Math.imul(left, MIX_LEFT) - Math.imul(right, MIX_RIGHT)) >>> 0
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** `count` words of the state that NumPy generates from `seed`, an integer in [0, 2^32). */
export const seedSequence = (seed: number, count: number): Uint32Array => {
  const hash = hasher(0x43b0d7e5, MULTIPLIER_A)
  const pool = new Uint32Array(POOL)
  for (let i = 0; i < POOL; i++) pool[i] = hash(i === 0 ? seed : 0)
  for (let source = 0; source < POOL; source++) {
    for (let target = 0; target < POOL; target++) {
      if (source !== target) pool[target] = mix(pool[target]!, hash(pool[source]!))
    }
  }
  const expand = hasher(0x8b51f9dd, MULTIPLIER_B)
  return Uint32Array.from({ length: count }, (_, i) => expand(pool[i % POOL]!))
}
