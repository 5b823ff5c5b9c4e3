/** Boosted trees, packed: what the model of the verifier is, and how it scores a row of features. */

/** Depth of every tree: walking down is written out for it. */
export const DEPTH = 3 as const

/** Complete binary trees of one depth, one after another. */
export interface Forest {
  readonly depth: typeof DEPTH
  /** Log-odds before any tree. */
  readonly base: number
  /** Feature of each inner node, `2 ** depth - 1` a tree, in order of level. */
  readonly features: Uint8Array
  /** A row whose feature is at least this goes right; one bit of the last place is not looked at. */
  readonly thresholds: Float32Array
  /** Log-odds that each leaf adds, `2 ** depth` a tree. */
  readonly leaves: Float32Array
}

/**
 * A forest that scores. It compares integers, whose difference has the branch in its sign: which way a row goes is as
 * good as random, and a processor that guesses it wrong at every second node takes five times as long.
 */
export class Trees {
  readonly #forest: Forest
  readonly #thresholds: Int32Array
  readonly #row: Int32Array
  #values: Float32Array | undefined
  #bits: Int32Array = new Int32Array()

  /** Trees over rows of `width` features. */
  constructor(forest: Forest, width: number) {
    this.#forest = forest
    this.#thresholds = bitsOf(forest.thresholds).map(ordered)
    this.#row = new Int32Array(width)
  }

  /** Log-odds of the row of features that starts at `values[at]`. */
  logOdds(values: Float32Array, at: number): number {
    const { base, features, leaves } = this.#forest
    const thresholds = this.#thresholds
    const row = this.#row
    if (this.#values !== values) {
      this.#values = values
      this.#bits = bitsOf(values)
    }
    const bits = this.#bits
    for (let f = 0; f < row.length; f++) row[f] = ordered(bits[at + f]!)
    const inner = 2 ** DEPTH - 1
    const trees = leaves.length / (inner + 1)
    let sum = base
    for (let tree = 0, first = 0; tree < trees; tree++, first += inner) {
      let node = 2 - ((row[features[first]!]! - thresholds[first]!) >>> 31)
      node = 2 * node + 2 - ((row[features[first + node]!]! - thresholds[first + node]!) >>> 31)
      node = 2 * node + 2 - ((row[features[first + node]!]! - thresholds[first + node]!) >>> 31)
      // Leaves follow the inner nodes of their tree: tree + 1 of them more than inner nodes so far.
      sum += leaves[first + tree + node - inner]!
    }
    return sum
  }
}

const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Int32Array => new Int32Array(buffer, byteOffset, length)

const LEAST = -0x80000000

/** A float as an integer of the same order, halved so that the difference of two is one too. */
const ordered = (bits: number): number => ((bits < 0 ? LEAST - bits : bits) | 0) >> 1
