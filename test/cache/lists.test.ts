/** Large scopes: look-ups go through inverted lists, and find what a look at every entry does. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { nearestVerifier, semanticCache } from "../../src/cache.ts"
import { MODE } from "../../src/core/kernels/shape.ts"
import { kernels } from "../../src/core/native.ts"
import { open } from "../../src/index.ts"
import { randomVectors } from "../property/kernels/random.ts"
import { ask } from "./caches.ts"

const DIMENSIONS = 32
const ENTRIES = 34_000
const TOPICS = 300
const THRESHOLD = 0.8

const unit = (vector: Float32Array): Float32Array => {
  const length = Math.hypot(...vector)
  return vector.map((x) => x / length)
}

/** Directions around those of some topics. */
const directions = (seed: number, count: number): ReadonlyArray<Float32Array> => {
  const topics = randomVectors(1, TOPICS * DIMENSIONS)
  const noise = randomVectors(seed, count * DIMENSIONS)
  return Array.from({ length: count }, (_, i) => {
    const topic = ((i * 7919) % TOPICS) * DIMENSIONS
    return unit(
      Float32Array.from({ length: DIMENSIONS }, (_, c) => topics[topic + c]! + 0.5 * noise[i * DIMENSIONS + c]!)
    )
  })
}

const cosine = (a: Float32Array, b: Float32Array): number => {
  let sum = 0
  for (let c = 0; c < DIMENSIONS; c++) sum += a[c]! * b[c]!
  return sum
}

test("a cache of many entries has inverted lists, counts their bytes, and serves what is nearest all the same", async (t) => {
  await using db = await open(":memory:", { threads: 2 })
  const options = {
    dimensions: DIMENSIONS,
    precision: "f32",
    threshold: THRESHOLD,
    verifier: nearestVerifier()
  } as const
  await using cache = await semanticCache(db, options)
  const stored = directions(2, ENTRIES)
  for (let from = 0; from < ENTRIES; from += 64) {
    const batch = stored.slice(from, from + 64)
    await Promise.all(batch.map((vector, i) => cache.set(ask(`question ${from + i}`), from + i, { vector })))
  }
  const collection = await db.collection("cache", { dimensions: DIMENSIONS, precision: "f32" })
  await collection.buildIndex()
  const { lists, columns, bytes } = collection.stats()
  assert.ok(lists > 100 && columns["lists"]!.touched > 0)
  const counted = cache.stats().bytes
  assert.ok(Math.abs(counted / bytes.touched - 1) < 0.05, `${counted} counted, ${bytes.touched} taken`)

  assert.ok(Number.isInteger(counted), `${counted} bytes`)

  const search = t.mock.method(kernels, "search")
  let hits = 0
  let missed = 0
  for (const [i, vector] of directions(3, 200).entries()) {
    const cosines = stored.map((other) => cosine(vector, other))
    const most = Math.max(...cosines)
    const found = await cache.get(ask(`other words ${i}`), { vector })
    if (most < THRESHOLD - 1e-4) assert.equal(found.isHit, false)
    if (most < THRESHOLD + 1e-4) continue
    hits++
    if (!found.isHit || found.similarity < most - 1e-4) missed++
    else assert.equal(found.value, cosines.indexOf(most))
  }
  const visits = search.mock.calls.map(({ arguments: [{ mode, nprobe }] }) => (mode === MODE.ivf ? nprobe : lists))
  assert.ok(visits.length > 0)
  assert.ok(Math.max(...visits) < lists / 2, `${Math.max(...visits)} of ${lists} lists visited`)
  assert.ok(hits > 50, `${hits} are too few to tell`)
  assert.ok(missed <= 0.01 * hits, `${missed} of ${hits} missed`)
})
