/** What every index of a recall pool promises. An implementation's test calls `similarityIndexContract` with itself. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { SimilarityIndex } from "../../src/recall.ts"
import { cosine, vectorsOf } from "../recall/pools.ts"

const DIMENSIONS = 24
const COUNTS = [0, 1, 2, 63, 64, 65, 500]

/** Runs `use` with an index over vectors, whose rows are their positions. */
export type WithIndex = (
  vectors: ReadonlyArray<Float32Array>,
  use: (index: SimilarityIndex) => Promise<void>
) => Promise<void>

export const similarityIndexContract = (name: string, withIndex: WithIndex): void => {
  describe(`similarity index contract: ${name}`, () => {
    for (const count of COUNTS) {
      test(`of ${count}: the nearest, nearest first, with their cosines, and no more than there are`, async () => {
        const vectors = vectorsOf(31, count, DIMENSIONS)
        await withIndex(vectors, async (index) => {
          const queries = vectorsOf(32, 8, DIMENSIONS)
          for (const k of [1, 5, 1000]) {
            for (const query of queries) {
              const near = await index.nearest(query, { k })
              const wanted = vectors.map((vector) => cosine(vector, query)).sort((a, b) => b - a)
              assert.equal(near.length, Math.min(k, count))
              for (const [i, { row, similarity }] of near.entries()) {
                assert.ok(Math.abs(similarity - wanted[i]!) < 1e-4, `${i}: ${similarity}, not ${wanted[i]}`)
                assert.ok(Math.abs(similarity - cosine(vectors[row]!, query)) < 1e-4)
              }
              assert.equal(new Set(near.map(({ row }) => row)).size, near.length)
            }
          }
        })
      })
    }

    test("many queries find what each finds alone", async () => {
      await withIndex(vectorsOf(33, 300, DIMENSIONS), async (index) => {
        const queries = vectorsOf(34, 20, DIMENSIONS)
        const flat = Float32Array.from(queries.flatMap((query) => [...query]))
        const found = await index.nearestOfEach(flat, { k: 4 })
        for (const [i, query] of queries.entries()) {
          const alone = await index.nearest(query, { k: 4 })
          assert.deepEqual(
            found[i]!.map(({ row }) => row),
            alone.map(({ row }) => row)
          )
        }
      })
    })

    test("a least similarity is kept, and a signal that fired before is Cancelled", async () => {
      const vectors = vectorsOf(35, 200, DIMENSIONS)
      await withIndex(vectors, async (index) => {
        const [query] = vectorsOf(36, 1, DIMENSIONS)
        const near = await index.nearest(query!, { k: 1000, minSimilarity: 0.1 })
        assert.equal(near.length, vectors.filter((vector) => cosine(vector, query!) >= 0.1).length)
        const signal = AbortSignal.abort()
        await assert.rejects(async () => index.nearest(query!, { k: 1, signal }), { _tag: "Cancelled" })
      })
    })
  })
}
