/** Spectral features: native against the scalar definition, and the definition against waves that are known. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { testEveryIsa } from "./addon.ts"
import { randomVectors } from "./random.ts"

const sides = fc.tuple(
  fc.integer({ min: 1, max: 33 }),
  fc.integer({ min: 1, max: 33 }),
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 4 })
)

/** Whole waves, that windows of their size do not blur beyond their neighbours, or noise. */
const dataOf = (seed: number, [rows, columns, layers, channels]: readonly [number, number, number, number]) => {
  const noise = randomVectors(seed, rows * columns * layers * channels)
  if (seed % 3 > 0) return noise
  return noise.map(
    (x, i) => 0.01 * x + Math.cos((2 * Math.PI * (seed % 7) * (Math.floor(i / layers / channels) % columns)) / columns)
  )
}

testEveryIsa("spectralFeatures", (native) => {
  fc.assert(
    fc.property(fc.nat(10_000), sides, (seed, drawn) => {
      const data = dataOf(seed, drawn)
      const [actual, expected] = [new Float32Array(8), new Float32Array(8)]
      native.spectralFeatures(data, ...drawn, actual)
      scalar.spectralFeatures(data, ...drawn, expected)
      for (const [i, wanted] of expected.entries()) {
        const error = Math.abs(actual[i]! - wanted)
        assert.ok(error <= 1e-5 * Math.max(1, Math.abs(wanted)), `feature ${i}: ${actual[i]} for ${wanted}`)
      }
    }),
    { seed: 42, numRuns: 150 }
  )
})

/** Each feature as it is defined: every frequency by a sum over all cells. */
const definedFeatures = (
  data: Float32Array,
  [rows, columns, layers, channels]: readonly [number, number, number, number]
): ReadonlyArray<number> => {
  const hann = (i: number, n: number) => Math.sin((Math.PI * (i + 0.5)) / n) ** 2
  const folded = (f: number, n: number) => Math.min(f, n - f) / n
  const cells = rows * columns
  const frequencies = Array.from({ length: cells }, (_, at) => [Math.floor(at / columns), at % columns] as const)
  const powers = Array.from({ length: channels }, (_, channel) =>
    frequencies.map(([u, v]) => {
      let [re, im] = [0, 0]
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let mean = 0
          for (let layer = 0; layer < layers; layer++)
            mean += data[((row * columns + column) * layers + layer) * channels + channel]! / layers
          const angle = 2 * Math.PI * ((u * row) / rows + (v * column) / columns)
          const value = mean * hann(row, rows) * hann(column, columns)
          re += value * Math.cos(angle)
          im -= value * Math.sin(angle)
        }
      }
      return (re * re + im * im) / cells
    })
  )
  const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((all, x) => all + x, 0)
  const entropies = powers.map((power) => {
    const shares = power.map((x) => x / sum(power))
    return -sum(shares.map((share) => (share > 0 ? share * Math.log(share) : 0))) / Math.log(cells)
  })
  const power = frequencies.map((_, at) => sum(powers.map((of) => of[at]!)) / channels)
  const radii = frequencies.map(([u, v]) => Math.hypot(folded(u, rows), folded(v, columns)))
  const isFirst = ([u, v]: readonly [number, number], at: number) =>
    at > 0 && ((rows - u) % rows) * columns + ((columns - v) % columns) >= at
  const strongest = frequencies
    .flatMap((frequency, at) => (isFirst(frequency, at) ? [at] : []))
    .sort((a, b) => power[b]! - power[a]!)
    .slice(0, 3)
  const band = (from: number, to: number) => {
    const within = (radius: number) => radius >= (from / 3) * Math.SQRT1_2 && radius < (to / 3) * Math.SQRT1_2
    return sum(power.filter((_, at) => within(radii[at]!))) / sum(power)
  }
  const energies = [band(0, 1), band(1, 2), band(2, 4)]
  return [sum(entropies) / channels, ...strongest.map((at) => radii[at]!), ...energies, sum(power) / cells]
}

test("the definition is what each feature is said to be", () => {
  const drawn = [
    [7, 5, 1, 1],
    [8, 8, 2, 3],
    [5, 11, 3, 2]
  ] as const
  for (const sides of drawn) {
    const [rows, columns, layers, channels] = sides
    const data = randomVectors(rows, rows * columns * layers * channels)
    const features = new Float32Array(8)
    scalar.spectralFeatures(data, rows, columns, layers, channels, features)
    for (const [i, wanted] of definedFeatures(data, sides).entries())
      assert.ok(Math.abs(features[i]! - wanted) < 1e-6, `${sides}, feature ${i}: ${features[i]}, not ${wanted}`)
  }
})

const featuresOf = (rows: number, columns: number, value: (row: number, column: number) => number): Float32Array => {
  const data = Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns))
  const out = new Float32Array(8)
  scalar.spectralFeatures(data, rows, columns, 1, 1, out)
  return out
}

test("a wave has its frequency, its band and little entropy; noise has all bands and much", () => {
  const low = featuresOf(32, 32, (_, x) => Math.cos((2 * Math.PI * 4 * x) / 32))
  assert.ok(Math.abs(low[1]! - 4 / 32) < 1e-6)
  assert.ok(low[0]! < 0.4 && low[4]! > 0.99, `${low}`)
  const high = featuresOf(32, 32, (row, x) => Math.cos(Math.PI * (row + x)))
  assert.ok(Math.abs(high[1]! - Math.SQRT1_2) < 1e-6 && high[6]! > 0.99, `${high}`)
  const noise = randomVectors(9, 1024)
  const rough = featuresOf(32, 32, (row, x) => noise[32 * row + x]!)
  assert.ok(rough[0]! > 0.85 && rough.subarray(4, 7).every((share) => share > 0.05), `${rough}`)
})

test("no power is no entropy and no frequency, and a flat plane is its constant", () => {
  assert.deepEqual([...featuresOf(8, 8, () => 0)], [0, 0, 0, 0, 0, 0, 0, 0])
  const flat = featuresOf(8, 8, () => 1)
  assert.ok(Math.abs(flat[4]! - 1) < 1e-5)
  assert.deepEqual([...featuresOf(1, 1, () => 3)], [0, 0, 0, 0, 1, 0, 0, 9])
})
