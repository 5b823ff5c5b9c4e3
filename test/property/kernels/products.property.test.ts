/** Product codes, their tables and their training, against naive definitions. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { codebookRows, trainCodebook } from "../../../src/core/index/codebook.ts"
import { drawCentroids, lloyd, nearest } from "../../../src/core/index/kmeans.ts"
import { orthonormalise } from "../../../src/core/index/orthonormal.ts"
import { pcg64 } from "../../../src/core/index/pcg64.ts"
import { spreadSeeds } from "../../../src/core/index/seeds.ts"
import { productEstimator } from "../../../src/core/kernels/adc.ts"
import { centroidOf, codeBytes, codebookOffsets, decodeProducts, subspaceStart } from "../../../src/core/kernels/pq.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { BLOCKS, MODE } from "../../../src/core/kernels/shape.ts"
import { parameterCount } from "../../../src/core/store/layout.ts"
import { testEveryIsa } from "./addon.ts"
import { randomVectors } from "./random.ts"
import { emptyHits, emptySegment, layoutOf, productShape, type Shape, vectorsOf } from "./segments.ts"

const ROWS = 70

/** Parameters whose half lengths are those of the centroids, with a rotation where one is drawn. */
const parametersOf = (drawn: Shape): Float32Array => {
  const layout = layoutOf(drawn)
  const { centroids, codebook, halves, rotation } = codebookOffsets(layout)
  const { dimensions, rotated = 0 } = drawn
  const parameters = randomVectors(drawn.seed ^ 0x5eed, parameterCount(dimensions, drawn.pq, rotated))
  if (rotated > 0) orthonormalise(parameters.subarray(rotation), dimensions, rotated, pcg64(drawn.seed))
  for (let s = 0; s < layout.subspaces; s++) {
    for (let c = 0; c < centroids; c++) {
      let squares = 0
      for (let i = subspaceStart(layout, s); i < subspaceStart(layout, s + 1); i++) {
        squares += parameters[codebook + i * centroids + c]! ** 2
      }
      parameters[halves + s * centroids + c] = squares / 2
    }
  }
  return parameters
}

const written = (drawn: Shape) => {
  const segment = emptySegment(drawn)
  const layout = layoutOf(drawn)
  const vectors = vectorsOf(drawn, drawn.seed, ROWS)
  const slots = Uint32Array.from({ length: ROWS }, (_, slot) => slot)
  const parameters = parametersOf(drawn)
  scalar.writeRows(layout, vectors, slots, parameters, segment.rows, segment.codes)
  for (const slot of slots) segment.rows[slot >> 3] = segment.rows[slot >> 3]! | (1 << (slot & 7))
  return { segment, layout, vectors, parameters }
}

/** Shapes whose numbers plain sums can be compared with. */
const ordinary = productShape().map((drawn): Shape => ({ ...drawn, kind: "ordinary", factorScale: 1 }))

const unit = (drawn: Shape, x: Float32Array): Array<number> => {
  const length = drawn.metric === "cosine" ? Math.hypot(...x) : 1
  return Array.from(x, (value) => value / length)
}

/** Vectors less the mean, times the rotation where there is one. */
const cut = ({ dimensions, rotated = 0 }: Shape, x: ReadonlyArray<number>, parameters: Float32Array) => {
  const residual = x.map((value, i) => value - parameters[i]!)
  if (rotated === 0) return residual
  const from = parameters.length - dimensions * rotated
  return Array.from({ length: rotated }, (_, j) =>
    residual.reduce((sum, value, i) => sum + value * parameters[from + i * rotated + j]!, 0)
  )
}

test("a code names the nearest centroid of every subspace", () => {
  fc.assert(
    fc.property(ordinary, (drawn) => {
      const { segment, layout, vectors, parameters } = written(drawn)
      const { centroids, codebook } = codebookOffsets(layout)
      for (let row = 0; row < ROWS; row += 9) {
        const whole = unit(drawn, vectors.subarray(row * drawn.dimensions, (row + 1) * drawn.dimensions))
        const x = cut(drawn, whole, parameters)
        for (let s = 0; s < layout.subspaces; s++) {
          const components = Array.from(
            { length: subspaceStart(layout, s + 1) - subspaceStart(layout, s) },
            (_, i) => subspaceStart(layout, s) + i
          )
          const distance = (value: (i: number) => number) =>
            components.reduce((sum, i) => sum + (x[i]! - value(i)) ** 2, 0)
          const all = Array.from({ length: centroids }, (_, c) =>
            distance((i) => parameters[codebook + i * centroids + c]!)
          )
          const found = all[centroidOf(layout, segment.codes, row, s)]!
          assert.ok(found <= Math.min(...all) + 1e-4 * (1 + found), `subspace ${s}: ${found} over ${Math.min(...all)}`)
        }
      }
    }),
    { numRuns: 60 }
  )
})

test("codes after a rotation are those of rotated vectors, which decoded ones come back from", () => {
  const rotating = ordinary.filter(({ rotated = 0 }) => rotated > 0)
  fc.assert(
    fc.property(rotating, (drawn) => {
      const { segment, layout, vectors, parameters } = written({ ...drawn, metric: "dot", precision: "none" })
      const { dimensions, rotated = 0 } = drawn
      const { rotation, codebook } = codebookOffsets(layout)
      const mean = parameters.subarray(0, dimensions)
      const residuals = vectors.map((x, i) => x - mean[i % dimensions]!)
      const turned = new Float32Array(ROWS * rotated)
      scalar.matmul(residuals, parameters.subarray(rotation), turned, ROWS, dimensions, rotated)
      // The same codebook for vectors as they are, about zero.
      const plain: Shape = { ...drawn, metric: "dot", precision: "none", dimensions: rotated, rotated: 0 }
      const straight = Float32Array.of(...new Float32Array(rotated), ...parameters.subarray(codebook, rotation))
      const { rows, codes } = emptySegment(plain)
      const slots = Uint32Array.from({ length: ROWS }, (_, slot) => slot)
      scalar.writeRows(layoutOf(plain), turned, slots, straight, rows, codes)
      assert.deepEqual(segment.codes, codes)
      for (const row of [0, ROWS - 1]) {
        const decoded = decodeProducts(layout, parameters, segment.codes, row)
        const coded = decodeProducts(layoutOf(plain), straight, codes, row)
        const back = cut(drawn, Array.from(decoded), parameters)
        for (const [j, x] of back.entries()) assert.ok(Math.abs(x - coded[j]!) < 1e-4, `${x} for ${coded[j]}`)
        const [here, there] = [decoded.map((x, i) => x - mean[i]!), coded].map((v) => Math.hypot(...v))
        assert.ok(Math.abs(here! - there!) < 1e-4, `length ${here} for ${there}`)
      }
    }),
    { numRuns: 60 }
  )
})

test("estimates are the scores of decoded vectors within the rounding of the tables", () => {
  fc.assert(
    fc.property(ordinary, (drawn) => {
      const { segment, layout, parameters } = written(drawn)
      const query = vectorsOf(drawn, ~drawn.seed, 1)
      const hits = emptyHits(1, ROWS)
      const plan = {
        ...layout,
        mode: MODE.pq,
        keep: ROWS,
        rerank: 0,
        fromBlock: 0,
        toBlock: BLOCKS,
        nprobe: 0,
        cancel: 0
      }
      const columns = { rows: [segment.rows], codes: [segment.codes], encoder: parameters }
      scalar.search(plan, columns, query, new Int32Array(1), hits)
      assert.equal(hits.counts[0], ROWS)
      const q = unit(drawn, query)
      // Each subspace rounds by half a step.
      const { step } = productEstimator(plan, Float32Array.from(q), parameters)
      const slack = (step / 2) * layout.subspaces + 1e-4 * (1 + Math.abs(hits.scores[0]!))
      for (let rank = 0; rank < ROWS; rank++) {
        const x = decodeProducts(layout, parameters, segment.codes, hits.rows[rank]!)
        const dot = x.reduce((sum, value, i) => sum + value * q[i]!, 0)
        const squared = x.reduce((sum, value, i) => sum + (value - q[i]!) ** 2, 0)
        const similarity = dot + 0.375 * (1 - x.reduce((sum, value) => sum + value * value, 0))
        const expected = { cosine: similarity, dot, l2: -squared }[drawn.metric]
        assert.ok(Math.abs(hits.scores[rank]! - expected) <= slack, `${hits.scores[rank]} for ${expected} +- ${slack}`)
      }
    }),
    { numRuns: 60 }
  )
})

test("a code takes m bytes, or half as many with 4 bits, and fills its block alone", () => {
  fc.assert(
    fc.property(productShape(["dot"], ["none"]), (drawn) => {
      const layout = layoutOf(drawn)
      const { m, bits } = drawn.pq!
      assert.equal(codeBytes(layout), (m * bits) / 8)
      const { codes } = emptySegment(drawn)
      assert.equal(codes.length, 65_536 * codeBytes(layout))
      const vectors = vectorsOf(drawn, drawn.seed, 1)
      const { rows } = emptySegment(drawn)
      scalar.writeRows(layout, vectors, Uint32Array.of(64 * 5 + 7), parametersOf(drawn), rows, codes)
      const changed = [...codes.keys()].filter((at) => codes[at] !== 0)
      for (const at of changed) {
        assert.equal(Math.floor(at / (64 * codeBytes(layout))), 5)
        assert.equal(at % 64, 7)
      }
    }),
    { numRuns: 20 }
  )
})

/** Points about a few far centres, with copies. */
const clustered = (seed: number, rows: number, dimensions: number): Float32Array => {
  const centres = randomVectors(seed, 5 * dimensions)
  const noise = randomVectors(~seed, rows * dimensions)
  return noise.map((x, i) => 10 * centres[(Math.floor(i / dimensions) % 5) * dimensions + (i % dimensions)]! + x / 10)
}

test("seeds are points, all different while points are, and far apart where points are in clusters", () => {
  const sizes = fc.record({
    seed: fc.nat({ max: 1000 }),
    count: fc.integer({ min: 40, max: 3000 }),
    dimensions: fc.integer({ min: 1, max: 9 }),
    clusters: fc.integer({ min: 5, max: 24 })
  })
  fc.assert(
    fc.property(sizes, ({ seed, count, dimensions, clusters }) => {
      const vectors = clustered(seed, count, dimensions)
      const seeds = spreadSeeds({ vectors, count, dimensions }, clusters, pcg64(seed))
      const texts = (rows: Float32Array) =>
        Array.from({ length: rows.length / dimensions }, (_, i) =>
          rows.subarray(i * dimensions, (i + 1) * dimensions).join()
        )
      const known = new Set(texts(vectors))
      const found = texts(seeds)
      assert.ok(found.every((text) => known.has(text)))
      assert.equal(new Set(found).size, clusters)
    }),
    { numRuns: 40 }
  )
})

test("k-means from seeds loses less than from points drawn at random, and little of clusters", () => {
  const [count, dimensions, clusters] = [1000, 6, 5]
  let [spread, drawn] = [0, 0]
  for (let seed = 0; seed < 20; seed++) {
    const points = { vectors: clustered(seed, count, dimensions), count, dimensions }
    const lost = (centroids: Float32Array) => {
      lloyd(scalar, points, centroids, 10, pcg64(seed))
      const members = nearest(scalar, points, centroids)
      let sum = 0
      for (let i = 0; i < points.vectors.length; i++) {
        const centre = members[Math.floor(i / dimensions)]! * dimensions + (i % dimensions)
        sum += (points.vectors[i]! - centroids[centre]!) ** 2
      }
      return sum
    }
    spread += lost(spreadSeeds(points, clusters, pcg64(seed)))
    drawn += lost(drawCentroids(points, clusters, pcg64(seed)))
  }
  assert.ok(spread < drawn, `${spread} from seeds, ${drawn} from random points`)
})

test("seeds of equal points, and of fewer points than centroids", () => {
  const same = { vectors: new Float32Array(30).fill(3), count: 10, dimensions: 3 }
  assert.deepEqual(spreadSeeds(same, 4, pcg64(1)), new Float32Array(12).fill(3))
  const few = { vectors: Float32Array.of(1, 2, 5), count: 3, dimensions: 1 }
  assert.deepEqual([...new Set(spreadSeeds(few, 16, pcg64(1)))].sort(), [1, 2, 5])
})

const PQ = { m: 5, bits: 8 } as const

testEveryIsa("training gives the same bits as in TypeScript, and the same for the same seed", (native) => {
  const sample = clustered(3, 400, 13)
  const trained = (kernels: typeof native, seed: number) => trainCodebook(kernels, sample, 13, PQ, { seed })
  const expected = trained(scalar, 7)
  assert.deepEqual(trained(native, 7), expected)
  assert.notDeepEqual(trained(native, 8).parameters, expected.parameters)
})

test("distortion is what decoded vectors lose of the variance, and falls with more bits", () => {
  const dimensions = 12
  const sample = clustered(5, 3000, dimensions).map((x, i) => x + (i % dimensions))
  const distortions = [
    { m: 2, bits: 4 },
    { m: 4, bits: 4 },
    { m: 4, bits: 8 }
  ].map((pq) => trainCodebook(scalar, sample, dimensions, pq as typeof PQ, { seed: 1 }).training.distortion)
  assert.deepEqual(
    [...distortions].sort((a, b) => b - a),
    distortions
  )

  const pq = { m: 4, bits: 8 } as const
  const { parameters, factorScale, training } = trainCodebook(scalar, sample, dimensions, pq, { seed: 1 })
  assert.equal(training.rows, 3000)
  const drawn: Shape = { seed: 1, metric: "l2", precision: "none", dimensions, kind: "ordinary", factorScale, pq }
  const { rows, codes } = emptySegment(drawn)
  const layout = layoutOf(drawn)
  const slots = Uint32Array.from({ length: 3000 }, (_, slot) => slot)
  scalar.writeRows(layout, sample, slots, parameters, rows, codes)
  let [error, variance] = [0, 0]
  for (let row = 15; row < 3000; row += 16) {
    const decoded = decodeProducts(layout, parameters, codes, row)
    for (let i = 0; i < dimensions; i++) {
      error += (sample[row * dimensions + i]! - decoded[i]!) ** 2
      variance += (sample[row * dimensions + i]! - parameters[i]!) ** 2
    }
  }
  assert.ok(Math.abs(training.distortion - error / variance) < 1e-6, `${training.distortion} for ${error / variance}`)
})

test("a codebook follows vectors of any magnitude", () => {
  const sample = clustered(2, 300, 8)
  const plain = trainCodebook(scalar, sample, 8, { m: 4, bits: 4 }, { seed: 1 })
  for (const scale of [2 ** -90, 2 ** 45]) {
    const scaled = sample.map((x) => x * scale)
    const trained = trainCodebook(scalar, scaled, 8, { m: 4, bits: 4 }, { seed: 1 })
    assert.ok(Math.abs(trained.training.distortion - plain.training.distortion) < 1e-3)
  }
})

test("training reports its progress, and wants 64 rows a centroid", () => {
  const seen: Array<number> = []
  trainCodebook(scalar, clustered(1, 300, 8), 8, { m: 4, bits: 4 }, { seed: 1, progress: (done) => seen.push(done) })
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    seen
  )
  assert.equal(seen.at(-1), 1)
  assert.deepEqual([codebookRows({ m: 4, bits: 8 }), codebookRows({ m: 4, bits: 4 })], [16_384, 4096])
})
