/** Tensors: what is kept of them, what is made of them, and what encodes them. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { ownTensor } from "../../src/core/recall/tensor.ts"
import {
  COLOUR_CLASSES,
  type ColourClass,
  chromaticEncoder,
  complementTensor,
  filterTensor,
  mixTensors,
  saturateTensor,
  type Tensor,
  tensorFromSeed
} from "../../src/recall.ts"
import { encoderContract } from "../contract/recall-encoder.ts"
import { cosine, withPool } from "./pools.ts"

encoderContract("chromatic", chromaticEncoder)

const SIDES = { rows: 5, columns: 4, layers: 2, channels: 3 }
const flat = (red: number, green: number, blue: number): Tensor => ({
  rows: 8,
  columns: 8,
  channels: 3,
  data: Array.from({ length: 64 }, () => [red, green, blue]).flat()
})

describe("an item with a tensor", () => {
  test("is encoded, found by tensors that look alike, and comes back with tensor and spectrum", async () => {
    await withPool({ dimensions: undefined, encoder: chromaticEncoder() }, async (pool) => {
      await pool.addMany([
        { key: "red", tensor: flat(0.9, 0.1, 0.1), payload: "r" },
        { key: "blue", tensor: flat(0.1, 0.1, 0.9), payload: "b" },
        { key: "grey", tensor: { ...flat(0.5, 0.5, 0.5), certainty: 0.25 } }
      ])
      const found = await pool.similar({ tensor: flat(0.85, 0.15, 0.1) }, { k: 3 })
      assert.equal(found[0]?.key, "red")
      const kept = await pool.get("grey")
      assert.deepEqual(kept?.tensor?.data, Float32Array.from(flat(0.5, 0.5, 0.5).data))
      assert.deepEqual([kept?.tensor?.certainty, kept?.tensor?.layers], [0.25, 1])
      assert.ok(kept!.spectrum!.energies[0] > 0.99)
      assert.equal(kept?.payload, undefined)
      assert.equal((await pool.get("blue"))?.payload, "b")
    })
  })

  test("is refused when its sides, values or certainty are wrong, or it has no colours to encode", async () => {
    await withPool({ dimensions: undefined, encoder: chromaticEncoder() }, async (pool) => {
      const wrong: ReadonlyArray<Tensor> = [
        { rows: 0, columns: 1, data: [] },
        { rows: 2, columns: 1, data: [1] },
        { rows: 1, columns: 1, data: [Number.NaN] },
        { rows: 1, columns: 1, data: [null as unknown as number] },
        { rows: 1, columns: 1, data: [1n as unknown as number] },
        { rows: 1, columns: 1, data: new BigInt64Array(1) as unknown as ArrayLike<number> },
        { ...flat(0, 0, 0), certainty: 2 }
      ]
      for (const tensor of wrong) await assert.rejects(pool.add({ tensor }), { _tag: "InvalidParameter" })
      await assert.rejects(pool.add({ tensor: { rows: 1, columns: 1, data: [1] } }), { _tag: "FeatureUnavailable" })
      assert.equal(pool.stats().items, 0)
    })
  })
})

describe("operations", () => {
  test("mix: one at 0, the other at 1, half way by default", () => {
    const [a, b] = [tensorFromSeed(1, SIDES), tensorFromSeed(2, SIDES)]
    assert.deepEqual(mixTensors(a, b, 0).data, a.data)
    assert.deepEqual(mixTensors(a, b, 1).data, b.data)
    const half = mixTensors(a, { ...b, certainty: 0 })
    assert.ok(half.data.every((x, i) => Math.abs(x - (a.data[i]! + b.data[i]!) / 2) < 1e-6))
    assert.equal(half.certainty, 0.5)
    assert.throws(() => mixTensors(a, tensorFromSeed(1, { ...SIDES, rows: 4 })), { _tag: "InvalidParameter" })
    assert.throws(() => mixTensors(a, b, 1.1), { _tag: "InvalidParameter" })
  })

  test("filter, complement and saturate", () => {
    const a = tensorFromSeed(3, SIDES)
    const white = { ...a, data: a.data.map(() => 1) }
    assert.deepEqual(filterTensor(a, white).data, a.data)
    assert.ok(filterTensor(a, { ...a, certainty: 0.5 }).data.every((x, i) => Math.abs(x - a.data[i]! ** 2) < 1e-6))
    const twice = complementTensor(complementTensor(a))
    assert.ok(twice.data.every((x, i) => Math.abs(x - a.data[i]!) < 1e-6))
    assert.ok(saturateTensor(a, 1).data.every((x, i) => Math.abs(x - a.data[i]!) < 1e-6))
    const grey = saturateTensor(a, 0).data
    assert.ok(grey.every((x, i) => Math.abs(x - grey[i - (i % 3)]!) < 1e-6))
    assert.ok(saturateTensor(a, 50).data.every((x) => x >= 0 && x <= 1))
    assert.throws(() => saturateTensor(a, -1), { _tag: "InvalidParameter" })
  })

  test("saturate looks at a cell once, however many channels it has", () => {
    const of = (rows: number, channels: number) => tensorFromSeed(1, { rows, columns: 1, channels })
    const [few, many] = [of(2 ** 12, 2 ** 4), of(2 ** 4, 2 ** 12)]
    const timed = (tensor: Tensor) => {
      const from = performance.now()
      saturateTensor(tensor, 2)
      return performance.now() - from
    }
    const ratios = Array.from({ length: 9 }, () => timed(many) / timed(few)).sort((a, b) => a - b)
    assert.ok(ratios[4]! < 16, `${ratios}`)
  })

  test("of more values than a tensor may have are refused before any is made", () => {
    for (const sides of [
      { rows: 512, columns: 513 },
      { rows: 4096, columns: 4096, layers: 4096, channels: 4096 }
    ]) {
      assert.throws(() => tensorFromSeed(1, sides), { _tag: "InvalidParameter", parameter: "sides" })
      assert.throws(() => complementTensor({ ...sides, data: [] }), { _tag: "InvalidParameter", parameter: "tensor" })
    }
    assert.equal(complementTensor(tensorFromSeed(1, { rows: 512, columns: 512 })).data.length, 2 ** 18)
  })

  test("from a seed: the same for one, others for others, from 0 up to 1", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const { data } = tensorFromSeed(seed, SIDES)
        assert.deepEqual(data, tensorFromSeed(seed, SIDES).data)
        assert.notDeepEqual(data, tensorFromSeed(seed + 1, SIDES).data)
        assert.ok(data.every((x) => x >= 0 && x < 1))
      }),
      { numRuns: 30 }
    )
    // The same on every machine: written down once.
    assert.deepEqual(
      [...tensorFromSeed(42, { rows: 1, columns: 3 }).data].map((x) => x.toFixed(6)),
      ["0.089251", "0.773956", "0.654571"]
    )
  })

  test("each of ten colours has a component of its own, beside means and features, of mean 0 and variance 1", () => {
    const colours: Readonly<Record<ColourClass, readonly [number, number, number]>> = {
      black: [0.1, 0.1, 0.05],
      grey: [0.5, 0.55, 0.5],
      white: [0.95, 0.95, 0.9],
      red: [0.9, 0.1, 0.1],
      orange: [0.9, 0.5, 0.1],
      yellow: [0.9, 0.9, 0.1],
      green: [0.1, 0.9, 0.1],
      cyan: [0.1, 0.9, 0.9],
      blue: [0.1, 0.1, 0.9],
      magenta: [0.9, 0.1, 0.9]
    }
    const spectrum = { entropy: 0.25, dominant: [0.1, 0.2, 0.3], energies: [0.7, 0.2, 0.1], meanPower: 3 } as const
    assert.deepEqual(Object.keys(colours), [...COLOUR_CLASSES])
    for (const [i, colour] of COLOUR_CLASSES.entries()) {
      const tensor = ownTensor({ ...flat(...colours[colour]), certainty: 0.5 })
      const made = chromaticEncoder().encode({ tensor, spectrum, utility: -0.5, bias: 0.125 })
      assert.equal(made.length, 64)
      const mean = made.reduce((sum, x) => sum + x, 0) / 64
      const variance = made.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 64
      assert.ok(Math.abs(mean) < 1e-5 && Math.abs(variance - 1) < 1e-4, `${mean}, ${variance}`)
      // Components are of one scale: from two that are known follow the others.
      const [one, zero] = [made[11 + i]!, made[11 + ((i + 1) % 10)]!]
      const given = [
        ...colours[colour],
        spectrum.entropy,
        ...spectrum.dominant,
        ...spectrum.energies,
        Math.log(1 + spectrum.meanPower),
        ...COLOUR_CLASSES.map((name) => (name === colour ? 1 : 0)),
        -0.5,
        0.125,
        0.5
      ]
      for (const [c, wanted] of given.entries()) {
        const got = (made[c]! - zero) / (one - zero)
        assert.ok(Math.abs(got - wanted) < 1e-4, `${colour}, component ${c}: ${got}, not ${wanted}`)
      }
    }
  })

  test("embeddings of near colours are near, of far ones far", () => {
    const encoder = chromaticEncoder()
    const tensor = (data: Tensor) => ({
      ...tensorFromSeed(1, { rows: 8, columns: 8, channels: 3 }),
      data: Float32Array.from(data.data)
    })
    const spectrum = { entropy: 0, dominant: [0, 0, 0], energies: [1, 0, 0], meanPower: 0 } as const
    const of = (r: number, g: number, b: number) =>
      encoder.encode({ tensor: tensor(flat(r, g, b)), spectrum, utility: 0, bias: 0 })
    assert.ok(cosine(of(0.9, 0.1, 0.1), of(0.88, 0.12, 0.1)) > 0.9)
    assert.ok(cosine(of(0.9, 0.1, 0.1), of(0.1, 0.1, 0.9)) < 0.5)
  })
})
