/** What a fast choice of diverse hits is worth, beside the exact one. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { open } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"

const DIMENSIONS = 384
const FETCH = 500
const QUERIES = 6

type Vectors = ReadonlyArray<Float32Array>

const vectorsOf = (seed: number, count: number): Vectors => {
  const all = randomVectors(seed, count * DIMENSIONS)
  return Array.from({ length: count }, (_, i) => all.slice(i * DIMENSIONS, (i + 1) * DIMENSIONS))
}
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, c) => sum + x * b[c]!, 0)
const unit = (vector: Float32Array): Float32Array => {
  const length = Math.sqrt(dot(vector, vector))
  return vector.map((x) => x / length)
}
const mixed = (a: Float32Array, b: Float32Array, share: number): Float32Array => {
  const [x, y] = [unit(a), unit(b)]
  return unit(x.map((value, c) => value + share * y[c]!))
}

const inClusters = (seed: number, count: number, centres: number, spread: number): Vectors => {
  const middles = vectorsOf(99, centres)
  return vectorsOf(seed, count).map((vector, i) => mixed(middles[i % centres]!, vector, spread))
}

/** What fast choices are worth together, each when it was made, of what exact ones are. */
const worthOf = async (vectors: Vectors, queries: Vectors, k: number, lambda: number): Promise<number> => {
  await using db = await open(":memory:", { threads: 1 })
  const items = await db.collection("items", { dimensions: DIMENSIONS })
  const units = vectors.map(unit)
  await items.addMany(units.map((vector, i) => ({ key: `${i}`, vector })))
  const worth = async (query: Float32Array, fast: boolean): Promise<number> => {
    const hits = await items.search(query, { k, mode: "exact", mmr: { lambda, fetchK: FETCH, fast } })
    assert.equal(new Set(hits.map(({ key }) => key)).size, k)
    const rows = hits.map(({ key }) => units[Number(key)]!)
    return hits.reduce((sum, { score }, place) => {
      const nearest = Math.max(...rows.slice(0, place).map((other) => dot(other, rows[place]!)))
      return sum + lambda * score - (place === 0 ? 0 : (1 - lambda) * nearest)
    }, 0)
  }
  let [exact, fast] = [0, 0]
  for (const query of queries) {
    exact += await worth(query, false)
    fast += await worth(query, true)
  }
  return fast / exact
}

describe("a fast choice is worth 98 % of the exact one", () => {
  for (const k of [10, 20, 50]) {
    test(`${k} of ${FETCH}, vectors that are unlike one another`, async () => {
      const worth = await worthOf(vectorsOf(1, 2000), vectorsOf(2, QUERIES), k, 0.7)
      assert.ok(worth >= 0.98, `${worth}`)
    })
    test(`${k} of ${FETCH}, vectors in clusters`, async () => {
      const queries = inClusters(4, QUERIES, 40, 0.8)
      assert.ok((await worthOf(inClusters(3, 2000, 40, 0.8), queries, k, 0.7)) >= 0.98)
    })
  }

  test("where the nearest are copies of one another, which a floor of relevance alone would choose from", async () => {
    const [query, other] = vectorsOf(5, 2)
    const copies = vectorsOf(6, 120).map((vector) => mixed(mixed(query!, other!, 0.6), vector, 0.05))
    const others = vectorsOf(7, 600).map((vector) => mixed(query!, vector, 1.2))
    assert.ok((await worthOf([...copies, ...others], [query!], 10, 0.5)) >= 0.98)
  })
})
