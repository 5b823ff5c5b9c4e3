/** Coherence: what fits into a pool, by each of the measures. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { chromaticCoherence, neighbourhoodCoherence, spectralCoherence, type Tensor } from "../../src/recall.ts"
import { cosine, DIMENSIONS, vectorsOf, withPool } from "./pools.ts"

/** Vectors around one direction. */
const around = (seed: number, count: number): ReadonlyArray<Float32Array> =>
  vectorsOf(seed, count).map((vector) => vector.map((x, i) => (i === 0 ? 3 : 0) + 0.3 * x))

const opposite = (): Float32Array => Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === 0 ? -1 : 0.01))

describe("the neighbourhood of a pool", () => {
  test("lets in what is as near as its own, keeps out what is not, and says why", async () => {
    await withPool({}, async (pool) => {
      await pool.addMany(around(1, 200).map((embedding) => ({ embedding })))
      const [fits] = around(2, 1)
      const verdict = await pool.addIfCoherent({ key: "fits", embedding: fits! })
      assert.equal(verdict.isAdded, true)
      assert.ok(verdict.score >= verdict.threshold && verdict.threshold === 0.75)
      const stranger = await pool.addIfCoherent({ key: "stranger", embedding: opposite() })
      assert.deepEqual([stranger.isAdded, stranger.score, stranger.key], [false, 0, "stranger"])
      assert.match(stranger.reason, /deviations below the pool's own/)
      assert.equal(await pool.get("stranger"), undefined)
      assert.deepEqual([pool.stats().rejected, pool.stats().accepted], [1, 201])
    })
  })

  test("is the mean similarity to the nearest, in deviations below what the pool's own have to theirs", async () => {
    const own = around(7, 40)
    const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length
    const nearest = (vector: Float32Array, others: ReadonlyArray<Float32Array>, k: number) =>
      mean(
        others
          .map((other) => cosine(other, vector))
          .sort((a, b) => b - a)
          .slice(0, k)
      )
    for (const k of [1, 3, 5]) {
      await withPool({ coherence: neighbourhoodCoherence({ k }), coherenceThreshold: 1 }, async (pool) => {
        await pool.addMany(own.map((embedding) => ({ embedding })))
        const means = own.map((vector) => nearest(vector, own.toSpliced(own.indexOf(vector), 1), k))
        const deviation = Math.max(0.02, Math.sqrt(mean(means.map((one) => (one - mean(means)) ** 2))))
        let between = 0
        for (const [i, noise] of around(8, 20).entries()) {
          const embedding = noise.map((x, c) => (c === 0 ? x - i / 8 : x))
          const { score, isAdded } = await pool.addIfCoherent({ key: `${i}`, embedding })
          const below = (mean(means) - nearest(embedding, own, k)) / deviation
          const wanted = Math.min(1, Math.max(0, 1 - below / 8))
          assert.ok(Math.abs(score - wanted) < 1e-3, `${score}, not ${wanted}`)
          if (score > 0 && score < 1) between++
          if (isAdded) await pool.remove(`${i}`)
        }
        assert.ok(between >= 5, `${between}`)
      })
    }
  })

  test("judges those of a batch one after another, and an empty pool takes anything", async () => {
    await withPool({ maxSize: 100 }, async (pool) => {
      const batch = [...around(3, 20), opposite()].map((embedding) => ({ embedding }))
      const verdicts = await pool.addManyIfCoherent(batch)
      assert.equal(verdicts.length, 21)
      assert.match(verdicts[0]!.reason, /a pool of 0 has no neighbourhood/)
      assert.equal(
        verdicts.slice(0, 6).every(({ score }) => score === 1),
        true
      )
      assert.equal(verdicts[20]!.isAdded, false)
    })
  })

  test("of items that are all alike lets in another that is", async () => {
    await withPool({}, async (pool) => {
      const embedding = opposite()
      await pool.addMany(Array.from({ length: 50 }, () => ({ embedding })))
      assert.equal((await pool.addIfCoherent({ embedding })).score, 1)
      assert.equal((await pool.addIfCoherent({ embedding: around(4, 1)[0]! })).isAdded, false)
    })
  })
})

/** A picture of 16 x 16 with the value of each channel at each place. */
const picture = (value: (row: number, column: number, channel: number) => number): Tensor => ({
  rows: 16,
  columns: 16,
  channels: 3,
  data: Array.from({ length: 16 * 16 * 3 }, (_, i) => value(Math.floor(i / 48), Math.floor(i / 3) % 16, i % 3))
})

const noise = vectorsOf(5, 1, 768)[0]!
const [embedding] = vectorsOf(6, 1)

describe("a measure of tensors", () => {
  test("spectral: one wave is coherent, noise is not, and no tensor is FeatureUnavailable", async () => {
    await withPool({ coherence: spectralCoherence(), coherenceThreshold: 0.5 }, async (pool) => {
      const wave = await pool.addIfCoherent({
        embedding: embedding!,
        tensor: picture((_, x) => Math.sin((x * Math.PI) / 4))
      })
      const hiss = await pool.addIfCoherent({
        embedding: embedding!,
        tensor: picture((r, x, c) => noise[(r * 16 + x) * 3 + c]!)
      })
      assert.deepEqual([wave.isAdded, hiss.isAdded, wave.measure], [true, false, "spectral"])
      assert.equal(wave.score, 1 - (await pool.get(wave.key))!.spectrum!.entropy)
      await assert.rejects(pool.addIfCoherent({ embedding: embedding! }), { _tag: "FeatureUnavailable" })
    })
  })

  test("chromatic: 0.6 of the balance of the mean colour and 0.4 of the agreement of the hues", async () => {
    await withPool({ coherence: chromaticCoherence(), coherenceThreshold: 0 }, async (pool) => {
      const scoreOf = async (tensor: Tensor) => (await pool.addIfCoherent({ embedding: embedding!, tensor })).score
      const close = (got: number, wanted: number) => assert.ok(Math.abs(got - wanted) < 1e-5, `${got}, not ${wanted}`)
      close(await scoreOf(picture(() => 0.5)), 1)
      close(await scoreOf(picture(() => 1)), 0.4)
      close(await scoreOf(picture((_r, _x, channel) => (channel === 0 ? 1 : 0))), 0.4)
      // Half of the cells red and half cyan: their hues cancel, and deviate by more than half a circle.
      close(await scoreOf(picture((row, _x, channel) => ((channel === 0) === row % 2 > 0 ? 1 : 0))), 0.6)
      // Half red and half yellow: of two directions 60 degrees apart the mean is cos 30 degrees long.
      const deviation = (Math.sqrt(-2 * Math.log(Math.cos(Math.PI / 6))) * 180) / Math.PI
      const warm = picture((row, _x, channel) => [1, row % 2, 0][channel]!)
      close(await scoreOf(warm), 0.6 * (1 - 1 / 1.5) + 0.4 * (1 - deviation / 180))
      await assert.rejects(pool.addIfCoherent({ embedding: embedding!, tensor: { rows: 1, columns: 1, data: [1] } }), {
        _tag: "FeatureUnavailable"
      })
    })
  })
})
