/** Boosted trees, packed: what the model of the verifier is, and how it scores a row of features. */

/** Complete binary trees of one depth, one after another. */
export interface Forest {
  readonly depth: number
  /** Log-odds before any tree. */
  readonly base: number
  /** Feature of each inner node, `2 ** depth - 1` a tree, in order of level. */
  readonly features: Uint8Array
  /** A row whose feature is at least this goes right. */
  readonly thresholds: Float32Array
  /** Log-odds that each leaf adds, `2 ** depth` a tree. */
  readonly leaves: Float32Array
}

/** Log-odds of the row of features that starts at `values[at]`. */
export const logOdds = (forest: Forest, values: Float32Array, at: number): number => {
  const { depth, features, thresholds, leaves } = forest
  const inner = 2 ** depth - 1
  const trees = leaves.length / (inner + 1)
  let sum = forest.base
  for (let tree = 0, first = 0; tree < trees; tree++, first += inner) {
    let node = 0
    for (let level = 0; level < depth; level++) {
      const goesRight = values[at + features[first + node]!]! >= thresholds[first + node]!
      node = 2 * node + (goesRight ? 2 : 1)
    }
    // Leaves follow the inner nodes of their tree: tree + 1 of them more than inner nodes so far.
    sum += leaves[first + tree + node - inner]!
  }
  return sum
}
