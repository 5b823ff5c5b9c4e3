/** Calls on many items leave room for others between any two parts of a millisecond. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { kernels } from "../../src/core/native.ts"
import { spectralOf } from "../../src/core/recall/spectral.ts"
import { spectrumOfTensor } from "../../src/core/spectrum.ts"
import { open } from "../../src/index.ts"
import {
  type Coherence,
  chromaticCoherence,
  chromaticEncoder,
  type RecallPool,
  recallPool,
  tensorFromSeed
} from "../../src/recall.ts"
import { turnsOf } from "../turns.ts"
import { DIMENSIONS, vectorsOf } from "./pools.ts"

const COUNT = 1000
const vectors = vectorsOf(90, COUNT)
const itemsOf = (prefix: string, count: number) =>
  vectors.slice(0, count).map((embedding, i) => ({ key: `${prefix}${i}`, embedding, class: `c${i % 100}` }))

/** Runs `use` with a pool that is as full as it may be. */
const withFull = async (use: (pool: RecallPool) => Promise<void>, coherence?: Coherence): Promise<void> => {
  await using db = await open(":memory:", { threads: 1 })
  const options = { dimensions: DIMENSIONS, maxSize: COUNT, coherence, queryCache: false, index: "flat" } as const
  const pool = await recallPool(db, options)
  await pool.addMany(itemsOf("", COUNT))
  await use(pool)
}

describe("others have their turns", { timeout: 60_000 }, () => {
  test("between two items that are judged, though neither measure nor memory waits", async () => {
    const coherence: Coherence = { id: "always", measure: () => ({ score: 0, reason: "never" }) }
    await withFull(async (pool) => {
      const turns = await turnsOf(() => pool.addManyIfCoherent(itemsOf("new ", 200)))
      // The items are checked and looked up in some 250.
      assert.ok(turns >= 400, `${turns}`)
    }, coherence)
  })

  test("between two parts of a batch that is put together for the log", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sabine-turns-"))
    t.after(() => rm(folder, { recursive: true }))
    const COUNT = 1920
    const entries = vectorsOf(91, COUNT).map((vector, i) => ({ key: `${i}`, vector }))
    /** Turns from the batch to its first entries that are written: none of them is in the log yet. */
    const turnsIn = async (path: string) => {
      await using db = await open(path, { threads: 1 })
      const collection = await db.collection("notes", { dimensions: DIMENSIONS, index: "none" })
      await collection.add({ key: "first", vector: vectors[0]! })
      let turns = 0
      await turnsOf((soFar) => collection.addMany(entries, { onProgress: () => (turns ||= soFar()) }))
      return turns
    }
    const [kept, passing] = [await turnsIn(folder), await turnsIn(":memory:")]
    assert.ok(kept - passing >= COUNT / 128 - 1, `${kept} and ${passing}`)
  })

  test("between two items that are read, of one class or of many", async () => {
    await withFull(async (pool) => {
      const turns = await turnsOf(() => pool.similar(vectors[0]!, { k: 500 }))
      assert.ok(turns >= 499, `${turns}`)
      const ofMany = await turnsOf(() => pool.balanced(vectors[0]!, { perClass: 10 }))
      assert.ok(ofMany >= 999, `${ofMany}`)
    })
  })

  test("while candidates are compared and what was chosen is explained", async () => {
    await withFull(async (pool) => {
      const hybrid = await turnsOf(() => pool.hybrid(vectors[0]!, { k: 1, candidates: 1000 }))
      assert.ok(hybrid >= 120, `${hybrid}`)
      const diverse = await turnsOf(() => pool.diverse(vectors[0]!, { k: 400, minDispersion: 1e-6 }))
      assert.ok(diverse >= 399 + 3 * 49, `${diverse}`)
    })
  })

  test("while the spectrum of a large tensor is computed, and between those of many small ones", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const pool = await recallPool(db, { encoder: chromaticEncoder() })
    const large = tensorFromSeed(1, { rows: 256, columns: 256, channels: 4 })
    const wanted = spectralOf(spectrumOfTensor(large))
    const { spectralFeatures } = kernels
    let here = 0
    kernels.spectralFeatures = (...given) => {
      here++
      spectralFeatures(...given)
    }
    try {
      await pool.add({ key: "large", tensor: large })
      assert.equal((await pool.similar({ tensor: large }, { k: 1 }))[0]?.key, "large")
      assert.equal(here, 0)
      assert.deepEqual((await pool.get("large"))?.spectrum, wanted)
      const small = Array.from({ length: 100 }, (_, i) => ({
        tensor: tensorFromSeed(i, { rows: 4, columns: 4, channels: 3 })
      }))
      const turns = await turnsOf(() => pool.addMany(small))
      assert.deepEqual([here, turns >= 199], [100, true], `${turns}`)
    } finally {
      kernels.spectralFeatures = spectralFeatures
    }
  })

  test("while the hues of a large tensor are looked at", async () => {
    const tensor = tensorFromSeed(1, { rows: 256, columns: 256, channels: 3 })
    const surroundings = { size: 0, generation: 0, index: undefined as never, sample: () => new Float32Array() }
    const measure = async () =>
      chromaticCoherence().measure({ embedding: vectors[0]!, utility: 0, tensor }, surroundings)
    const turns = await turnsOf(measure)
    assert.ok(turns >= 14, `${turns}`)
  })

  test("while outcomes are looked through, of one item too", async () => {
    await withFull(async (pool) => {
      const outcomes = Array.from({ length: 800 }, () => ({ key: "1", deltaLoss: 0.5 }))
      const turns = await turnsOf(() => pool.feedback(outcomes))
      assert.ok(turns >= 99, `${turns}`)
    })
  })

  test("while those are found that give way, and while all are walked over", async () => {
    await withFull(async (pool) => {
      const walked = await turnsOf(() => pool.byUtility({ k: 1 }))
      assert.ok(walked >= 14, `${walked}`)
      await using db = await open(":memory:", { threads: 1 })
      const empty = await recallPool(db, { dimensions: DIMENSIONS, index: "flat" })
      const alone = await turnsOf(() => empty.addMany(itemsOf("new ", 800)))
      const instead = await turnsOf(() => pool.addMany(itemsOf("new ", 800)))
      // A hundred to take those that give way, as many to name them, and the walk that finds them.
      assert.ok(instead - alone >= 205, `${instead} and ${alone}`)
    })
  })
})
