/** Gradient-boosted trees for the logistic loss, on features cut into bins: LightGBM's method in its plainest form. */
import type { Forest } from "../../src/core/cache/verify/forest.ts"
import type { Uint32Source } from "../../src/core/index/pcg64.ts"

export interface Examples {
  readonly features: number
  readonly rows: number
  /** Row-major. */
  readonly values: Float32Array
  /** 1 for the same question, 0 for another. */
  readonly labels: Uint8Array
}

interface BoostOptions {
  readonly trees: number
  readonly depth: Forest["depth"]
  /** Share of its best value that a leaf takes. */
  readonly rate: number
  /** Least sum of second derivatives on each side of a split. */
  readonly leastWeight: number
  /** What is added to that sum before a leaf divides by it. */
  readonly damping: number
  /** Share of the features, and of the rows, that a tree sees. */
  readonly columns: number
  readonly sample: number
}

const BINS = 64
/** Rows whose values set the cuts between bins. */
const CUT_ROWS = 20_000

/** Cuts between the bins of a feature: between all its values, or at quantiles where these are too many. */
const cutsOf = ({ values, rows, features }: Examples, feature: number): Float32Array => {
  const step = Math.max(1, Math.floor(rows / CUT_ROWS))
  const some: Array<number> = []
  for (let row = 0; row < rows; row += step) some.push(values[row * features + feature]!)
  some.sort((a, b) => a - b)
  const distinct = [...new Set(some)]
  const cuts =
    distinct.length <= BINS
      ? distinct.slice(1).map((value, i) => (value + distinct[i]!) / 2)
      : Array.from({ length: BINS - 1 }, (_, i) => some[Math.floor(((i + 1) * some.length) / BINS)]!)
  return Float32Array.from(new Set(cuts))
}

/** Number of cuts that a value is not below. */
const binOf = (cuts: Float32Array, value: number): number => {
  let low = 0
  let high = cuts.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (value >= cuts[middle]!) low = middle + 1
    else high = middle
  }
  return low
}

interface Binned {
  readonly cuts: ReadonlyArray<Float32Array>
  /** Bin of each row, a column a feature. */
  readonly columns: ReadonlyArray<Uint8Array>
}

const binned = (examples: Examples): Binned => {
  const { values, rows, features } = examples
  const cuts = Array.from({ length: features }, (_, feature) => cutsOf(examples, feature))
  const columns = cuts.map((own, feature) => {
    const column = new Uint8Array(rows)
    for (let row = 0; row < rows; row++) column[row] = binOf(own, values[row * features + feature]!)
    return column
  })
  return { cuts, columns }
}

interface Slopes {
  /** Node of the tree that each row is in, counted within its level. */
  readonly node: Uint8Array
  /** First and second derivatives of the loss of each row. */
  readonly gradient: Float32Array
  readonly hessian: Float32Array
}

interface Split {
  readonly gain: number
  readonly feature: number
  readonly bin: number
}

const NO_SPLIT: Split = { gain: 0, feature: -1, bin: 0 }

/** Sums of both derivatives over some rows, in each bin of each node: `[gradient, hessian]` in turn. */
const histogram = (column: Uint8Array, rows: Int32Array, nodes: number, { node, gradient, hessian }: Slopes) => {
  const sums = new Float64Array(nodes * BINS * 2)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    const at = 2 * (node[row]! * BINS + column[row]!)
    sums[at]! += gradient[row]!
    sums[at + 1]! += hessian[row]!
  }
  return sums
}

/** The best split of every node by one feature. */
const bestSplits = (
  sums: Float64Array,
  nodes: number,
  feature: number,
  { leastWeight, damping }: BoostOptions
): ReadonlyArray<Split> =>
  Array.from({ length: nodes }, (_, n) => {
    const from = 2 * n * BINS
    let gradients = 0
    let hessians = 0
    for (let b = 0; b < BINS; b++) {
      gradients += sums[from + 2 * b]!
      hessians += sums[from + 2 * b + 1]!
    }
    const worth = (g: number, h: number) => (g * g) / (h + damping)
    let best = NO_SPLIT
    let g = 0
    let h = 0
    for (let bin = 0; bin + 1 < BINS; bin++) {
      g += sums[from + 2 * bin]!
      h += sums[from + 2 * bin + 1]!
      if (h < leastWeight || hessians - h < leastWeight) continue
      const gain = worth(g, h) + worth(gradients - g, hessians - h) - worth(gradients, hessians)
      if (gain > best.gain) best = { gain, feature, bin }
    }
    return best
  })

/** Trains a forest whose log-odds are of the labels. */
export const boost = (examples: Examples, options: BoostOptions, random: Uint32Source): Forest => {
  const { rows, labels } = examples
  const { cuts, columns } = binned(examples)
  const inner = 2 ** options.depth - 1
  const leaves = inner + 1
  const share = labels.reduce((sum, label) => sum + label, 0) / rows
  const base = Math.log(share / (1 - share))
  const scores = new Float32Array(rows).fill(base)
  const slopes = { node: new Uint8Array(rows), gradient: new Float32Array(rows), hessian: new Float32Array(rows) }
  const forest: Forest = {
    depth: options.depth,
    base,
    features: new Uint8Array(options.trees * inner),
    thresholds: new Float32Array(options.trees * inner).fill(Number.POSITIVE_INFINITY),
    leaves: new Float32Array(options.trees * leaves)
  }
  const isDrawn = (part: number) => random() < part * 2 ** 32
  for (let tree = 0; tree < options.trees; tree++) {
    const drawn: Array<number> = []
    for (let row = 0; row < rows; row++) {
      const p = 1 / (1 + Math.exp(-scores[row]!))
      slopes.gradient[row] = p - labels[row]!
      slopes.hessian[row] = p * (1 - p)
      slopes.node[row] = 0
      if (isDrawn(options.sample)) drawn.push(row)
    }
    const sample = Int32Array.from(drawn)
    const seen = columns.flatMap((column, feature) => (isDrawn(options.columns) ? [{ column, feature }] : []))
    for (let level = 0; level < options.depth; level++) {
      const nodes = 2 ** level
      let best: ReadonlyArray<Split> = new Array(nodes).fill(NO_SPLIT)
      for (const { column, feature } of seen) {
        const found = bestSplits(histogram(column, sample, nodes, slopes), nodes, feature, options)
        best = best.map((split, n) => (found[n]!.gain > split.gain ? found[n]! : split))
      }
      const first = tree * inner + nodes - 1
      for (const [n, { feature, bin }] of best.entries()) {
        if (feature < 0) continue
        forest.features[first + n] = feature
        forest.thresholds[first + n] = cuts[feature]![bin]!
      }
      for (let row = 0; row < rows; row++) {
        const { feature, bin } = best[slopes.node[row]!]!
        slopes.node[row] = 2 * slopes.node[row]! + (feature >= 0 && columns[feature]![row]! > bin ? 1 : 0)
      }
    }
    const values = forest.leaves.subarray(tree * leaves, (tree + 1) * leaves)
    setLeaves(values, sample, slopes, options)
    for (let row = 0; row < rows; row++) scores[row]! += values[slopes.node[row]!]!
  }
  return forest
}

const setLeaves = (
  values: Float32Array,
  rows: Int32Array,
  { node, gradient, hessian }: Slopes,
  { rate, damping }: BoostOptions
): void => {
  const gradients = new Float64Array(values.length)
  const hessians = new Float64Array(values.length)
  for (const row of rows) {
    gradients[node[row]!]! += gradient[row]!
    hessians[node[row]!]! += hessian[row]!
  }
  for (let leaf = 0; leaf < values.length; leaf++) {
    values[leaf] = (-rate * gradients[leaf]!) / (hessians[leaf]! + damping)
  }
}
