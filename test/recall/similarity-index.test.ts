/** The index of the store, by each of its structures, and results around every switch from one to another. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { serviceOf } from "../../src/behind.ts"
import { settled } from "../../src/core/collection/settled.ts"
import { StoreIndex } from "../../src/core/recall/store-index.ts"
import { open } from "../../src/index.ts"
import type { RecallIndex } from "../../src/recall.ts"
import { clustered } from "../clusters.ts"
import { similarityIndexContract } from "../contract/similarity-index.ts"
import { withPool } from "./pools.ts"

const INDEXES = [
  ["auto", "auto"],
  ["flat", "none"],
  ["hnsw", "hnsw"],
  ["ivf", "ivf"]
] as const

for (const [name, index] of INDEXES) {
  similarityIndexContract(`the store, ${name}`, async (vectors, use) => {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await settled(serviceOf(db).collection("items", { dimensions: 24, index }))
    if (vectors.length > 0) {
      await settled(collection.addMany(vectors.map((vector, i) => ({ key: `${i}`, vector }))))
      await settled(collection.buildIndex())
    }
    await use(new StoreIndex(collection))
  })
}

/** Sizes at which the choice of `auto`, the codes or the structures change; `auto` has lists from the last on. */
const SWITCHES = [1024, 2048, 4096]
const SWITCHES_OF_AUTO = [...SWITCHES, 32_768]

describe("results go on around every switch", () => {
  for (const index of ["auto", "flat", "hnsw", "ivf"] as ReadonlyArray<RecallIndex>) {
    const switches = index === "auto" ? SWITCHES_OF_AUTO : SWITCHES
    test(`of ${index}, at ${switches} items`, { timeout: 300_000 }, async () => {
      const d = 32
      await withPool({ dimensions: d, index, maxSize: Number.POSITIVE_INFINITY, queryCache: false }, async (pool) => {
        const last = switches.at(-1)! + 1
        const all = clustered(3, last, d)
        const queries = clustered(4, 20, d)
        const at = (vectors: Float32Array, i: number) => vectors.slice(i * d, (i + 1) * d)
        const found = async () => {
          const keys: Array<string> = []
          for (let q = 0; q < 20; q++)
            for (const { key } of await pool.similar(at(queries, q), { k: 5 })) keys.push(key)
          return keys
        }
        let size = 0
        const grow = async (to: number) => {
          const items = Array.from({ length: to - size }, (_, i) => ({
            key: `${size + i}`,
            embedding: at(all, size + i)
          }))
          size = to
          await pool.addMany(items)
        }
        for (const sizeOfSwitch of switches) {
          await grow(sizeOfSwitch - 1)
          let before = new Set(await found())
          for (const to of [sizeOfSwitch, sizeOfSwitch + 1]) {
            await grow(to)
            const after = await found()
            // One item more may take the place of one: nothing else may change but what an approximate index misses.
            const missing = [...before].filter((key) => !after.includes(key)).length
            assert.equal(after.length, 100)
            assert.ok(missing <= 2, `${missing} of ${before.size} are gone at ${to}`)
            before = new Set(after)
          }
        }
      })
    })
  }
})
