/**
 * A collection with a graph under random writes, builds, saves and loads, against exact search: whatever was done, a
 * walk returns as many hits as there can be, each of them live, once and with its exact score, and most of the nearest.
 */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { kernels } from "../../src/core/native.ts"
import { type Collection, type Database, open } from "../../src/index.ts"
import { clustered, keysOf } from "../clusters.ts"

const D = 12
const KEYS = 2400
const QUERIES = 12

interface Step {
  readonly kind: "write" | "delete" | "build" | "reopen" | "search"
  readonly from: number
  readonly count: number
}

const range = { from: fc.nat({ max: KEYS - 1 }), count: fc.integer({ min: 1, max: 700 }) }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), ...range }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), ...range }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("build" as const), ...range }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const), ...range }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("search" as const), ...range }) }
)

class Run {
  readonly #folder: string
  readonly #options: { readonly metric: "cosine" | "dot" | "l2"; readonly precision: "f32" | "f16" | "int8" }
  readonly #live = new Set<string>()
  #db: Database | undefined
  #collection: Collection | undefined
  #seed = 0

  constructor(
    folder: string,
    options: { readonly metric: "cosine" | "dot" | "l2"; readonly precision: "f32" | "f16" | "int8" }
  ) {
    this.#folder = folder
    this.#options = options
  }

  async open(): Promise<Collection> {
    this.#db = await open(this.#folder, { threads: 2 })
    this.#collection = await this.#db.collection("c", { dimensions: D, index: { hnsw: { M: 8 } }, ...this.#options })
    return this.#collection
  }

  async close(): Promise<void> {
    await this.#db?.close()
  }

  async do({ kind, from, count }: Step): Promise<void> {
    const collection = this.#collection ?? (await this.open())
    if (kind === "build") return collection.buildIndex()
    if (kind === "search") return this.#check(collection, count)
    if (kind === "reopen") {
      await this.#db?.save()
      await this.close()
      await this.open()
      return
    }
    const keys = keysOf(from, Math.min(KEYS, from + count))
    if (kind === "delete") {
      for (const key of keys) assert.equal(await collection.delete(key), this.#live.delete(key))
      return
    }
    const vectors = clustered(++this.#seed, keys.length, D)
    const entries = keys.map((key, i) => ({ key, vector: vectors.subarray(i * D, (i + 1) * D) }))
    await collection.addMany(entries.filter(({ key }) => !this.#live.has(key)))
    for (const entry of entries) if (this.#live.has(entry.key)) await collection.update(entry)
    for (const key of keys) this.#live.add(key)
  }

  async #check(collection: Collection, wanted: number): Promise<void> {
    const k = 1 + (wanted % 60)
    const queries = clustered(0x9e3 + this.#seed, QUERIES, D)
    const exact = await collection.searchMany(queries, { k: 1024, mode: "exact" })
    const found = await collection.searchMany(queries, { k, mode: "hnsw" })
    let nearest = 0
    for (let query = 0; query < QUERIES; query++) {
      const scores = new Map<string, number>()
      for (let i = 0; i < exact.counts[query]!; i++) {
        scores.set(exact.keys[query * 1024 + i]!, exact.scores[query * 1024 + i]!)
      }
      const count = found.counts[query]!
      assert.equal(count, Math.min(k, this.#live.size))
      const keys = found.keys.slice(query * k, query * k + count)
      assert.equal(new Set(keys).size, count)
      const least = exact.scores[query * 1024 + count - 1]!
      for (const [i, key] of keys.entries()) {
        assert.ok(this.#live.has(key), key)
        const score = found.scores[query * k + i]!
        if (scores.has(key)) assert.equal(score, scores.get(key))
        if (score >= least) nearest++
      }
    }
    const all = QUERIES * Math.min(k, this.#live.size)
    assert.ok(nearest >= 0.9 * all, `${nearest} of the ${all} nearest`)
  }
}

const skip = kernels.graph === undefined && "there is no addon"
for (const [metric, precision] of [
  ["cosine", "f32"],
  ["l2", "f16"],
  ["dot", "int8"]
] as const) {
  test(`a graph of metric ${metric} and precision ${precision} under random steps`, { skip }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const folder = await mkdtemp(join(tmpdir(), "sabine-graph-steps-"))
        const run = new Run(folder, { metric, precision })
        try {
          for (const each of [...steps, { kind: "search", from: 0, count: 9 } as const]) await run.do(each)
        } finally {
          await run.close()
          await rm(folder, { recursive: true })
        }
      }),
      { numRuns: 12 }
    )
  })
}
