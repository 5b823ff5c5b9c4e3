/**
 * Product quantisation (Jegou, Douze and Schmid, PAMI 2011): a vector cut into subspaces, and in each the
 * number of the nearest of 256 or 16 centroids. What is cut is a vector less the mean and divided by `factorScale`, of
 * `e = d` components, or that times a rotation: then `e` is `rotated`, `d` or less.
 *
 * Subspace `s` of `m` has the components from `floor(s e / m)` to `floor((s + 1) e / m)`, so that every `m`
 * up to `e` will do. The parameters are
 *
 * - the mean (d),
 * - the codebook (e x K, row-major): row `i` holds component `i` of each centroid of its subspace,
 * - half the squared length of each centroid (m x K),
 * - the rotation (d x e, row-major), where there is one: its columns are orthonormal.
 *
 * A code has `m` bytes of 8 bits, or `m / 2` of two numbers of 4 bits, that of the even subspace in the low
 * nibble. Byte `g` of the code of slot `j` of a block is at `64 g + j`, as with signs.
 */
import { BATCH } from "./batch.ts"
import type { SegmentLayout } from "./contract.ts"
import { matmul } from "./matmul.ts"
import { requireLayout } from "./refusal.ts"
import { BLOCK, CODE_BITS, CODE_BYTES } from "./shape.ts"

const { ceil, floor, fround } = Math

type CodeLayout = Pick<SegmentLayout, "dimensions" | "subspaces" | "subspaceBits" | "rotated">

/** Bytes of the code of a row, of signs or of products. */
export const codeBytes = ({ subspaces, subspaceBits }: Pick<CodeLayout, "subspaces" | "subspaceBits">): number =>
  subspaces > 0 ? (subspaces * subspaceBits) / 8 : CODE_BYTES

/** Components that are cut into subspaces. */
const codedComponents = ({ dimensions, rotated }: CodeLayout): number => (rotated > 0 ? rotated : dimensions)

/** Components of what a code stands for, in its own coordinates: those of inverted lists. */
export const codeComponents = (layout: CodeLayout): number =>
  layout.subspaces > 0 ? codedComponents(layout) : CODE_BITS

/** First component of subspace `s`; of subspace `subspaces`, the number of all components. */
export const subspaceStart = (layout: CodeLayout, s: number): number =>
  floor((s * codedComponents(layout)) / layout.subspaces)

/** Where codebook, half lengths and rotation start among the parameters, and where those end. */
export const codebookOffsets = (layout: CodeLayout) => {
  const { dimensions, subspaces, subspaceBits, rotated } = layout
  const centroids = 1 << subspaceBits
  const halves = dimensions + codedComponents(layout) * centroids
  const rotation = halves + subspaces * centroids
  return { centroids, codebook: dimensions, halves, rotation, end: rotation + dimensions * rotated }
}

/** Refuses subspaces that there cannot be, and parameters that are not theirs. */
export const requireCodebook = (layout: CodeLayout, parameters: Float32Array): void => {
  const { dimensions, subspaces, subspaceBits, rotated } = layout
  const even = subspaceBits === 4 && subspaces % 2 === 0
  const fit = rotated <= dimensions && subspaces <= codedComponents(layout)
  requireLayout(fit && (subspaceBits === 8 || even), "there are no such subspaces")
  requireLayout(parameters.length === codebookOffsets(layout).end, "the codebook is not of this dimension")
}

/** Scratch of one batch of vectors on their way to product codes. */
interface ProductScratch {
  /** What is cut into subspaces, of every vector. */
  readonly residuals: Float32Array
  /** The same before it is rotated; empty without a rotation. */
  readonly straight: Float32Array
  /** Components of one subspace of every vector. */
  readonly part: Float32Array
  /** What each centroid of the subspace scores for every vector. */
  readonly scores: Float32Array
  /** Numbers of the nearest centroids, `BATCH x subspaces`. */
  readonly nearest: Uint8Array
}

export const productScratch = (layout: SegmentLayout): ProductScratch => ({
  residuals: new Float32Array(BATCH * codedComponents(layout)),
  straight: new Float32Array(layout.rotated > 0 ? BATCH * layout.dimensions : 0),
  part: new Float32Array(BATCH * ceil(codedComponents(layout) / layout.subspaces)),
  scores: new Float32Array(BATCH << layout.subspaceBits),
  nearest: new Uint8Array(BATCH * layout.subspaces)
})

/** Finds the nearest centroids of `count` vectors, at most `BATCH`: of equally near ones, the first. */
export const encodeProducts = (
  layout: SegmentLayout,
  vectors: Float32Array,
  count: number,
  parameters: Float32Array,
  { residuals, straight, part, scores, nearest }: ProductScratch
): void => {
  const { dimensions, subspaces, rotated } = layout
  const { centroids, halves } = codebookOffsets(layout)
  const inverse = fround(1 / layout.factorScale)
  const differences = rotated > 0 ? straight : residuals
  for (let from = 0; from < count * dimensions; from += dimensions) {
    for (let i = 0; i < dimensions; i++) {
      differences[from + i] = fround(vectors[from + i]! - parameters[i]!) * inverse
    }
  }
  if (rotated > 0) matmul(straight, rotationOf(layout, parameters), residuals, count, dimensions, rotated)
  const coded = codedComponents(layout)
  for (let s = 0; s < subspaces; s++) {
    const start = subspaceStart(layout, s)
    const width = subspaceStart(layout, s + 1) - start
    for (let row = 0; row < count; row++) {
      const from = row * coded + start
      for (let i = 0; i < width; i++) part[row * width + i] = residuals[from + i]!
    }
    matmul(part, codebookOf(layout, parameters, s), scores, count, width, centroids)
    const half = halves + s * centroids
    for (let row = 0; row < count; row++) {
      nearest[row * subspaces + s] = best(scores, row * centroids, parameters, half, centroids)
    }
  }
}

/** The rotation, `dimensions x rotated`. */
const rotationOf = (layout: CodeLayout, parameters: Float32Array): Float32Array => {
  const { rotation, end } = codebookOffsets(layout)
  return parameters.subarray(rotation, end)
}

/** A vector as it is cut into subspaces. */
export const rotatedVector = (
  layout: CodeLayout,
  vector: Float32Array,
  parameters: Float32Array,
  product: typeof matmul = matmul
): Float32Array => {
  if (layout.rotated === 0) return vector
  const out = new Float32Array(layout.rotated)
  product(vector, rotationOf(layout, parameters), out, 1, layout.dimensions, layout.rotated)
  return out
}

/** The rows of the codebook of one subspace. */
export const codebookOf = (layout: CodeLayout, parameters: Float32Array, s: number): Float32Array => {
  const { centroids, codebook } = codebookOffsets(layout)
  const start = codebook + subspaceStart(layout, s) * centroids
  return parameters.subarray(start, codebook + subspaceStart(layout, s + 1) * centroids)
}

/** Least `|x - c|^2` is largest `<x, c> - |c|^2 / 2`. */
const best = (
  products: Float32Array,
  from: number,
  parameters: Float32Array,
  half: number,
  centroids: number
): number => {
  let found = 0
  let largest = Number.NEGATIVE_INFINITY
  for (let c = 0; c < centroids; c++) {
    const score = fround(products[from + c]! - parameters[half + c]!)
    if (score > largest) {
      largest = score
      found = c
    }
  }
  return found
}

/** Writes the code of vector `index` of the batch in `scratch` to `slot`. */
export const storeProducts = (
  layout: SegmentLayout,
  { nearest }: ProductScratch,
  index: number,
  codes: Uint8Array,
  slot: number
): void => {
  const bytes = codeBytes(layout)
  const at = floor(slot / BLOCK) * BLOCK * bytes + (slot % BLOCK)
  const from = index * layout.subspaces
  for (let g = 0; g < bytes; g++) {
    codes[at + g * BLOCK] =
      layout.subspaceBits === 8 ? nearest[from + g]! : nearest[from + 2 * g]! | (nearest[from + 2 * g + 1]! << 4)
  }
}

/** The number of the centroid of subspace `s` in the code of a slot. */
export const centroidOf = (layout: CodeLayout, codes: Uint8Array, slot: number, s: number): number => {
  const at = floor(slot / BLOCK) * BLOCK * codeBytes(layout) + (slot % BLOCK)
  return layout.subspaceBits === 8 ? codes[at + BLOCK * s]! : (codes[at + BLOCK * (s >> 1)]! >>> (4 * (s & 1))) & 15
}

/** The centroids of the code of a slot, one subspace after the other, from `at` on. */
export const codedCentroids = (
  layout: CodeLayout,
  parameters: Float32Array,
  codes: Uint8Array,
  slot: number,
  out: Float32Array,
  at: number
): void => {
  const { centroids, codebook } = codebookOffsets(layout)
  for (let s = 0; s < layout.subspaces; s++) {
    const c = centroidOf(layout, codes, slot, s)
    for (let i = subspaceStart(layout, s); i < subspaceStart(layout, s + 1); i++) {
      out[at + i] = parameters[codebook + i * centroids + c]!
    }
  }
}

/** The vector that the code of a slot stands for. */
export const decodeProducts = (
  layout: SegmentLayout,
  parameters: Float32Array,
  codes: Uint8Array,
  slot: number
): Float32Array => {
  const { dimensions, factorScale, rotated } = layout
  const { rotation } = codebookOffsets(layout)
  const coded = new Float32Array(codedComponents(layout))
  codedCentroids(layout, parameters, codes, slot, coded, 0)
  // Back from the rotation, whose transpose is its inverse.
  const component = (i: number): number => {
    if (rotated === 0) return coded[i]!
    const row = rotation + i * rotated
    return coded.reduce((sum, x, j) => sum + x * parameters[row + j]!, 0)
  }
  return Float32Array.from({ length: dimensions }, (_, i) => parameters[i]! + component(i) * factorScale)
}
