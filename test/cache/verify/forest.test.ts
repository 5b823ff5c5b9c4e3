/** Trees that compare integers go where the floats say. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { DEPTH, type Forest, Trees } from "../../../src/core/cache/verify/forest.ts"
import { randomOf } from "../../../src/core/cache/verify/labelled.ts"

const WIDTH = 5
const ROWS = 2000
const TREES = 50
const VALUES = [-1e9, -2.5, -1, -1e-30, 0, 1e-30, 0.5, 1, 3, 1e9]

const plainLogOdds = ({ depth, base, features, thresholds, leaves }: Forest, row: Float32Array): number => {
  const inner = 2 ** depth - 1
  let sum = base
  for (let tree = 0; tree * (inner + 1) < leaves.length; tree++) {
    let node = 0
    for (let level = 0; level < depth; level++) {
      const at = tree * inner + node
      node = 2 * node + (row[features[at]!]! >= thresholds[at]! ? 2 : 1)
    }
    sum += leaves[tree * (inner + 1) + node - inner]!
  }
  return sum
}

test("rows take the branches that their values ask for", () => {
  const random = randomOf(1)
  const drawn = () => VALUES[random() % VALUES.length]!
  const inner = TREES * (2 ** DEPTH - 1)
  const forest: Forest = {
    depth: DEPTH,
    base: 0.25,
    features: Uint8Array.from({ length: inner }, () => random() % WIDTH),
    thresholds: Float32Array.from({ length: inner }, () => (random() % 9 === 0 ? Number.POSITIVE_INFINITY : drawn())),
    leaves: Float32Array.from({ length: TREES * 2 ** DEPTH }, () => (random() % 1000) / 512)
  }
  const trees = new Trees(forest, WIDTH)
  const values = Float32Array.from({ length: ROWS * WIDTH }, () => (random() % 17 === 0 ? -0 : drawn()))
  for (let row = 0; row < ROWS; row++) {
    const plain = plainLogOdds(forest, values.subarray(row * WIDTH, (row + 1) * WIDTH))
    assert.equal(trees.logOdds(values, row * WIDTH), plain)
  }
  // Another array is read anew.
  const others = values.slice(WIDTH)
  assert.equal(trees.logOdds(others, 0), plainLogOdds(forest, others))
})
