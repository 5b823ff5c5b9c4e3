/** One writer and several reader threads: whatever is written, every reader sees each row whole or not at all. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { kernels } from "../../src/core/native.ts"
import { type Collection, open } from "../../src/index.ts"
import { recallOf } from "../clusters.ts"
import { randomBits } from "../property/kernels/random.ts"
import { LENGTH, startReaders } from "./readers.ts"
import { DIMENSIONS, entryOf, keyOf, markOf, vectorOf } from "./self-check.ts"

const STABLE = 1500
/** Numbers that come and go. */
const COMING = 2500
/** Grows past one segment, several chunks of records and many key tables. */
const GROWTH = 66_000
const GROWTH_BATCH = 2000
const NUMBERS = STABLE + COMING + GROWTH
/** What the readers look up at least, while all that is written. */
const LOOKUPS = 400_000 * LENGTH

/** Writes at random; versions rise over the whole run, so that readers can tell the order. */
class Writer {
  readonly #collection: Collection
  readonly #bits = randomBits(7)
  readonly #live = new Map<number, number>()
  #version = 0
  #grown = 0
  writes = 0

  constructor(collection: Collection) {
    this.#collection = collection
  }

  get size(): number {
    return this.#live.size
  }

  async start(): Promise<void> {
    await this.#addMany(0, STABLE)
  }

  get isGrown(): boolean {
    return this.#grown === GROWTH
  }

  /** One batch of growth, if any is left. */
  async grow(): Promise<void> {
    if (this.isGrown) return
    const from = STABLE + COMING + this.#grown
    await this.#addMany(from, from + GROWTH_BATCH)
    this.#grown += GROWTH_BATCH
  }

  async write(): Promise<void> {
    this.writes++
    const number = this.#bits() % (STABLE + COMING)
    const version = ++this.#version
    const old = this.#live.get(number)
    const choice = this.#bits() % 4
    if (old === undefined) {
      await this.#collection.add(entryOf(number, version))
      this.#live.set(number, version)
    } else if (choice === 0) {
      await this.#collection.update({ key: keyOf(number), payload: markOf(number, old, version) })
    } else if (choice === 1 && number >= STABLE) {
      await this.#collection.delete(keyOf(number))
      this.#live.delete(number)
    } else {
      await this.#collection.update(entryOf(number, version))
      this.#live.set(number, version)
    }
  }

  async #addMany(from: number, to: number): Promise<void> {
    const version = ++this.#version
    const numbers = Array.from({ length: to - from }, (_, i) => from + i)
    const vectors = new Float32Array(numbers.length * DIMENSIONS)
    for (const [i, number] of numbers.entries()) vectors.set(vectorOf(number, version), i * DIMENSIONS)
    await this.#collection.addMany({
      keys: numbers.map(keyOf),
      vectors,
      payloads: numbers.map((number) => markOf(number, version))
    })
    for (const number of numbers) this.#live.set(number, version)
    this.writes += numbers.length
  }
}

test("readers on other threads never meet a torn, foreign or stale row", async (t) => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("rows", {
    dimensions: DIMENSIONS,
    metric: "l2",
    codes: "published",
    index: { ivf: {}, hnsw: { M: 6, efConstruction: 40 } }
  })
  const writer = new Writer(collection)
  await writer.start()
  const readers = await startReaders(2, collection, { stable: STABLE, numbers: NUMBERS, retrained: false })
  const pace = LOOKUPS / (GROWTH / GROWTH_BATCH)
  let nextGrowth = 0
  while ((readers.lookups() < LOOKUPS || !writer.isGrown) && readers.failure() === undefined) {
    if (readers.lookups() >= nextGrowth) {
      await writer.grow()
      nextGrowth += pace
    }
    for (let i = 0; i < 100; i++) await writer.write()
    // Errors of the readers arrive as events.
    await new Promise(setImmediate)
  }
  const reports = await readers.stop()
  const { rows, segments, entries, lists } = collection.stats()
  const sum = (of: "checks" | "searches" | "lookups") => reports.reduce((total, report) => total + report[of], 0)
  t.diagnostic(
    `${writer.writes} writes; ${sum("lookups")} lookups and ${sum("searches")} searches, ${sum("checks")} rows checked; ${rows} rows`
  )
  assert.ok(sum("lookups") >= LOOKUPS && writer.writes > GROWTH)
  assert.equal(entries, writer.size)
  for (const { checks, searches, lookups } of reports) assert.ok(checks > 0 && searches > 0 && lookups > 0)
  assert.ok(lists > 16, "the lists did not grow with the rows")
  assert.equal(segments, 2)
  assert.ok(rows < entries + 20_000, `${rows} slots for ${entries} entries: slots are not reused`)
  if (kernels.graph === undefined) return
  const queries = new Float32Array(100 * DIMENSIONS)
  for (let i = 0; i < 100; i++) queries.set(vectorOf(i, 10_000_019), i * DIMENSIONS)
  await collection.buildIndex()
  const recall = await recallOf(collection, queries, { mode: "hnsw", efSearch: 200 })
  assert.ok(recall > 0.9, `the graph that was built meanwhile finds ${recall}`)
})
