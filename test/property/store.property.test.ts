/** A collection against a Map, through the public door: every metric and precision, saved, reopened and attached. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { METRICS, type Metric, type PqShape, PRECISIONS, type Precision } from "../../src/core/store/layout.ts"
import {
  type AttachedCollection,
  attach,
  type Collection,
  type Database,
  type Embedder,
  EmptyEmbedding,
  type Entry,
  type EntryInput,
  open,
  type SabineError
} from "../../src/index.ts"
import { modesOf } from "../stores.ts"
import { randomVectors } from "./kernels/random.ts"

interface Setting {
  readonly metric: Metric
  readonly precision: Precision
  readonly dimensions: number
  /** Set where codes are product codes: trained before the first entry. */
  readonly codes?: { readonly pq: PqShape }
}

interface Expected {
  readonly vector: ReadonlyArray<number>
  readonly payload: unknown
}

/** Counts letters: enough of a model to tell texts apart. */
const letterEmbedder = (dimensions: number): Embedder => ({
  id: `letters-${dimensions}`,
  dimensions,
  embed: async (texts) => {
    const vectors = new Float32Array(texts.length * dimensions)
    for (const [index, text] of texts.entries()) {
      if (text === "") throw new EmptyEmbedding({ index, text })
      vectors.set(letters(text, dimensions), index * dimensions)
    }
    return vectors
  }
})

const letters = (text: string, dimensions: number): Float32Array => {
  const counts = new Float32Array(dimensions)
  for (const letter of text) counts[letter.codePointAt(0)! % dimensions]! += 1
  const length = Math.hypot(...counts)
  return counts.map((count) => count / length)
}

/** Few keys, so that they meet; long, short and not only ASCII. */
const KEYS = [
  ...Array.from({ length: 24 }, (_, i) => `key ${i}`),
  "ключ",
  "🔑",
  "x",
  "k".repeat(1024),
  "é".repeat(512),
  "\u0000"
]
const BAD_KEYS = ["", "k".repeat(1025), "é".repeat(513), "\ud800", 7 as unknown as string]
const BAD_PAYLOADS = [1n, Symbol("payload"), () => 1, { nested: 1n }]

/** Few components, so that vectors repeat and scores tie. */
const component = fc.constantFrom(-2, -1, 0, 0.5, 1, 3)
const payload = fc.oneof(fc.constant(undefined), fc.jsonValue(), fc.uint8Array({ maxLength: 40 }))
const key = fc.constantFrom(...KEYS)
const text = fc.constantFrom("a", "bb", "abc", "the cat", "zebra")

const entry = (dimensions: number) => {
  const vector = fc
    .array(component, { minLength: dimensions, maxLength: dimensions })
    .map((components) => (components.some((x) => x !== 0) ? components : components.with(0, 1)))
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ key, vector, payload }) },
    { weight: 1, arbitrary: fc.record({ key, text, payload }) }
  ) as fc.Arbitrary<EntryInput>
}

const action = (dimensions: number) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("add" as const), entry: entry(dimensions) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("addMany" as const),
        entries: fc.array(entry(dimensions), { maxLength: 12 }),
        columns: fc.boolean(),
        replace: fc.boolean()
      })
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("update" as const), entry: entry(dimensions) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("updatePayload" as const), key, payload }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("search" as const),
        entry: entry(dimensions),
        k: fc.integer({ min: 1, max: 40 })
      })
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("refuse" as const), which: fc.nat(), key }) },
    { weight: 1, arbitrary: fc.constant({ kind: "attach" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) }
  )

type Action = ReturnType<typeof action> extends fc.Arbitrary<infer A> ? A : never

const failsWith = (tag: SabineError["_tag"]) => (error: unknown) => {
  assert.ok(error instanceof Error)
  assert.equal((error as SabineError)._tag, tag)
  return true
}

const entriesOf = async (reader: Collection | AttachedCollection): Promise<ReadonlyArray<Entry>> => {
  const found: Array<Entry> = []
  for await (const entry of reader.entries()) found.push(entry)
  return found
}

class Run {
  readonly model = new Map<string, Expected>()
  readonly #setting: Setting
  readonly #folder: string
  #db: Database | undefined
  #collection: Collection | undefined
  #attached: Array<AttachedCollection> = []

  constructor(setting: Setting, folder: string) {
    this.#setting = setting
    this.#folder = folder
  }

  get collection(): Collection {
    return this.#collection!
  }

  async open(): Promise<void> {
    this.#db = await open(this.#folder, { threads: 1 })
    const embedder = letterEmbedder(this.#setting.dimensions)
    this.#collection = await this.#db.collection("c", { ...this.#setting, embedder })
    const { codes, dimensions } = this.#setting
    if (codes === undefined || this.#collection.stats().distortion !== undefined) return
    await this.#collection.train(randomVectors(1, 300 * dimensions))
  }

  async close(): Promise<void> {
    for (const attached of this.#attached) await attached.close()
    this.#attached = []
    await this.#db?.close()
  }

  expect({ vector, text, payload }: EntryInput): Expected {
    const { dimensions } = this.#setting
    const json = payload === undefined || payload instanceof Uint8Array ? payload : JSON.parse(JSON.stringify(payload))
    return {
      vector: Array.from(vector ?? letters(text!, dimensions)),
      payload: payload === undefined && text !== undefined ? { text } : json
    }
  }

  async do(action: Action): Promise<void> {
    const { collection, model } = this
    switch (action.kind) {
      case "add":
        if (model.has(action.entry.key)) await assert.rejects(collection.add(action.entry), failsWith("DuplicateKey"))
        else {
          await collection.add(action.entry)
          model.set(action.entry.key, this.expect(action.entry))
        }
        break
      case "addMany":
        await this.#addMany(action)
        break
      case "update":
        if (model.has(action.entry.key)) {
          await collection.update(action.entry)
          const { payload: old } = model.get(action.entry.key)!
          const { vector, payload } = this.expect(action.entry)
          model.set(action.entry.key, { vector, payload: payload === undefined ? old : payload })
        } else await assert.rejects(collection.update(action.entry), failsWith("KeyNotFound"))
        break
      case "updatePayload": {
        const { key, payload } = action
        const old = model.get(key)
        if (payload === undefined) await assert.rejects(collection.update({ key }), failsWith("InvalidParameter"))
        else if (old === undefined) await assert.rejects(collection.update({ key, payload }), failsWith("KeyNotFound"))
        else {
          await collection.update({ key, payload })
          model.set(key, this.expect({ ...old, key, payload }))
        }
        break
      }
      case "delete":
        assert.equal(await collection.delete(action.key), model.delete(action.key))
        break
      case "search":
        for (const reader of [collection, ...this.#attached]) await this.#search(reader, action.entry, action.k)
        break
      case "refuse":
        await this.#refuse(action.which, action.key)
        break
      case "attach": {
        const { handle, transferList } = collection.share()
        const embedder = letterEmbedder(this.#setting.dimensions)
        this.#attached.push(attach(structuredClone(handle, { transfer: [...transferList] }), { embedder, threads: 1 }))
        break
      }
      case "reopen":
        await this.#db!.save()
        await this.close()
        await this.open()
        break
    }
    for (const reader of [this.collection, ...this.#attached]) assert.equal(reader.size(), model.size)
  }

  /** Everything that the collection holds, on every thread that reads it. */
  async check(): Promise<void> {
    for (const reader of [this.collection, ...this.#attached]) {
      const met = await entriesOf(reader)
      assert.equal(met.length, this.model.size)
      for (const entry of met) this.#checkEntry(entry)
      assert.equal(new Set(met.map((entry) => entry.key)).size, met.length)
      for (const key of KEYS) {
        const entry = await reader.get(key)
        assert.equal(await reader.has(key), this.model.has(key))
        assert.equal(entry !== undefined, this.model.has(key))
        if (entry !== undefined) this.#checkEntry(entry)
      }
    }
    const { entries, rows, columns } = this.collection.stats()
    assert.equal(entries, this.model.size)
    assert.ok(rows >= entries && columns["codes"]!.allocated >= columns["codes"]!.touched)
  }

  #checkEntry({ key, payload, vector }: Entry): void {
    const expected = this.model.get(key)
    assert.ok(expected !== undefined, `${key} is there and should not be`)
    assert.deepEqual(payload, expected.payload)
    const { metric, precision } = this.#setting
    assert.equal(vector === undefined, precision === "none")
    if (vector === undefined || precision === "none") return
    const length = metric === "cosine" ? Math.hypot(...expected.vector) : 1
    const largest = Math.max(...expected.vector.map(Math.abs)) / length
    const tolerance = { f32: 1e-6, f16: 1e-3, int8: 0.51 / 127 }[precision] * largest + 1e-7
    for (const [i, x] of expected.vector.entries()) assert.ok(Math.abs(vector[i]! - x / length) <= tolerance)
  }

  async #addMany({ entries, columns, replace }: Extract<Action, { readonly kind: "addMany" }>): Promise<void> {
    const { collection, model } = this
    const { dimensions } = this.#setting
    const keys = entries.map(({ key }) => key)
    const vectors = new Float32Array(
      entries.flatMap(({ vector, text }) => Array.from(vector ?? letters(text!, dimensions)))
    )
    const payloads = entries.map(({ payload }) => payload)
    const added = collection.addMany(columns ? { keys, vectors, payloads } : entries, { replace })
    if (new Set(keys).size < keys.length || (!replace && keys.some((key) => model.has(key)))) {
      await assert.rejects(added, failsWith("DuplicateKey"))
      return
    }
    await added
    for (const [i, entry] of entries.entries()) {
      const { key, payload } = entry
      model.set(
        key,
        this.expect(columns ? { key, payload, vector: vectors.subarray(i * dimensions, (i + 1) * dimensions) } : entry)
      )
    }
  }

  /** Exact search equals a plain loop over what is stored; the other modes rank what they score. */
  async #search(reader: Collection | AttachedCollection, { vector, text }: EntryInput, k: number): Promise<void> {
    const { metric, precision, dimensions, codes } = this.#setting
    const query = Float32Array.from(vector ?? letters(text!, dimensions))
    const rows = await entriesOf(reader)
    const rowOf = new Map(rows.map(({ key }, row) => [key, row]))
    const wanted = Math.min(k, this.model.size)
    const modes = modesOf({ metric, precision, dimensions, ...codes })
    for (const mode of modes) {
      const hits = await reader.search(text ?? query, { k, mode })
      assert.equal(hits.length, wanted, mode)
      assert.equal(new Set(hits.map((hit) => hit.key)).size, wanted)
      for (const [i, hit] of hits.entries()) {
        assert.deepEqual(hit.payload, this.model.get(hit.key)?.payload)
        const next = hits[i + 1]
        assert.ok(next === undefined || hit.score >= next.score)
        assert.ok(
          next === undefined || hit.score > next.score || rowOf.get(hit.key)! < rowOf.get(next.key)!,
          "ties go by row"
        )
      }
      // With so few rows every one of them is rescored.
      if (mode === "binary" || precision === "none") continue
      const score = ({ vector }: Entry): number => naiveScore(metric, query, vector!)
      // A query against int8 is rounded to 15 bits.
      const tolerance = precision === "int8" ? 1e-2 : 1e-4
      const scores = rows.map(score).sort((a, b) => b - a)
      for (const [i, hit] of hits.entries()) {
        assert.ok(Math.abs(hit.score - score(rows[rowOf.get(hit.key)!]!)) < tolerance, "a score is of another row")
        assert.ok(Math.abs(hit.score - scores[i]!) < tolerance, "a nearer row was left out")
      }
    }
    const many = await reader.searchMany(new Float32Array([...query, ...query]), { k, mode: modes.at(-1) })
    assert.deepEqual([...many.counts], [wanted, wanted])
    assert.deepEqual(many.keys.slice(0, k), many.keys.slice(k))
  }

  /** What must fail, and change nothing. */
  async #refuse(which: number, key: string): Promise<void> {
    const { collection } = this
    const { dimensions } = this.#setting
    const good = Array.from({ length: dimensions }, () => 1)
    const replace = which % 2 === 0
    const many = (bad: EntryInput) =>
      collection.addMany([{ key: replace ? key : "fresh", vector: good }, bad], { replace })
    const badKey = BAD_KEYS[which % BAD_KEYS.length]!
    const payload = BAD_PAYLOADS[which % BAD_PAYLOADS.length]
    const badVector = good.with(which % dimensions, [Number.NaN, Number.POSITIVE_INFINITY][which % 2]!)
    await assert.rejects(collection.add({ key: badKey, vector: good }), failsWith("InvalidParameter"))
    await assert.rejects(many({ key: badKey, vector: good }), failsWith("InvalidParameter"))
    await assert.rejects(collection.get(badKey), failsWith("InvalidParameter"))
    await assert.rejects(collection.add({ key: "fresh", vector: good, payload }), failsWith("InvalidParameter"))
    await assert.rejects(many({ key: "other", vector: good, payload }), failsWith("InvalidParameter"))
    await assert.rejects(collection.add({ key: "fresh", vector: badVector }), failsWith("InvalidVector"))
    await assert.rejects(many({ key: "other", vector: good.map(() => 0) }), failsWith("InvalidVector"))
    await assert.rejects(many({ key: "other", vector: [...good, 1] }), failsWith("DimensionMismatch"))
    await assert.rejects(collection.add({ key: "fresh", text: "" }), failsWith("EmptyEmbedding"))
    await assert.rejects(collection.add({ key: "fresh" }), failsWith("InvalidParameter"))
    const update = collection.update({ key, vector: badVector })
    await assert.rejects(update, failsWith("InvalidVector"))
    await assert.rejects(collection.search(badVector), failsWith("InvalidVector"))
    await assert.rejects(
      collection.addMany({ keys: ["fresh"], vectors: new Float32Array(dimensions + 1) }),
      failsWith("InvalidParameter")
    )
    assert.equal(await collection.has("fresh"), false)
  }
}

const naiveScore = (metric: Metric, query: Float32Array, vector: Float32Array): number => {
  const length = metric === "cosine" ? Math.hypot(...query) : 1
  let dot = 0
  let distance = 0
  for (const [i, x] of vector.entries()) {
    dot += (query[i]! / length) * x
    distance += (query[i]! - x) ** 2
  }
  return metric === "l2" ? -distance : dot
}

const runInFolder = async (setting: Setting, body: (run: Run) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-store-"))
  const run = new Run(setting, folder)
  try {
    await run.open()
    await body(run)
  } finally {
    await run.close()
    await rm(folder, { recursive: true })
  }
}

for (const metric of METRICS) {
  for (const precision of PRECISIONS) {
    test(`a collection is a Map with search: ${metric}, ${precision}`, async () => {
      const runs = fc.integer({ min: 1, max: 6 }).chain((dimensions) =>
        fc.record({
          dimensions: fc.constant(dimensions),
          actions: fc.array(action(dimensions), { maxLength: 60, size: "max" })
        })
      )
      await fc.assert(
        fc.asyncProperty(runs, async ({ dimensions, actions }) => {
          await runInFolder({ metric, precision, dimensions }, async (run) => {
            for (const action of actions) await run.do(action)
            await run.check()
          })
        }),
        { numRuns: 25 }
      )
    })
  }
}

for (const [precision, bits] of [
  ["f32", 8],
  ["int8", 4],
  ["none", 8]
] as const) {
  test(`a collection of product codes is a Map with search: ${precision}, ${bits} bits`, async () => {
    const runs = fc.record({
      metric: fc.constantFrom(...METRICS),
      actions: fc.array(action(8), { maxLength: 60, size: "max" })
    })
    await fc.assert(
      fc.asyncProperty(runs, async ({ metric, actions }) => {
        await runInFolder({ metric, precision, dimensions: 8, codes: { pq: { m: 4, bits } } }, async (run) => {
          for (const action of actions) await run.do(action)
          await run.check()
        })
      }),
      { numRuns: 20 }
    )
  })
}

test("slots and records of deleted and updated entries are used again", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("c", { dimensions: 2, metric: "l2" })
  for (let i = 0; i < 100; i++) await collection.add({ key: `k${i}`, vector: [i, 1], payload: "x".repeat(50) })
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 100; i++)
      await collection.update({ key: `k${i}`, vector: [i, round + 1], payload: "y".repeat(50) })
    for (let i = 0; i < 100; i++) await collection.update({ key: `k${i}`, payload: "z".repeat(50) })
  }
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 100; i++) await collection.delete(`k${i}`)
    for (let i = 0; i < 100; i++) await collection.add({ key: `k${i}`, vector: [i, 1], payload: "x".repeat(50) })
  }
  const { rows, columns } = collection.stats()
  assert.ok(rows <= 300, `${rows} slots for 100 entries`)
  assert.ok(columns["records"]!.touched <= 300 * 100, `${columns["records"]!.touched} bytes of records`)
  assert.equal((await collection.get("k7"))?.payload, "x".repeat(50))
})

test("grows over several segments, attached readers included, and reopens", async () => {
  const rows = 70_000
  const folder = await mkdtemp(join(tmpdir(), "sabine-store-"))
  try {
    const vectors = Float32Array.from({ length: rows * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 1))
    const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
    const nearest = async (collection: Collection | AttachedCollection) => {
      for (const row of [0, 1, 65_535, 65_536, rows - 1]) {
        const hits = await collection.search([row, 1], { k: 1, mode: "exact" })
        assert.deepEqual(
          hits.map(({ key }) => key),
          [`k${row}`]
        )
        assert.equal(Math.abs(hits[0]!.score), 0)
        assert.deepEqual((await collection.get(`k${row}`))?.vector, Float32Array.of(row, 1))
      }
      assert.equal(collection.size(), rows)
    }
    {
      await using db = await open(folder, { threads: 2 })
      const collection = await db.collection("c", { dimensions: 2, metric: "l2" })
      const { handle, transferList } = collection.share()
      await using attached = attach(structuredClone(handle, { transfer: [...transferList] }), { threads: 1 })
      for (let from = 0; from < rows; from += 17_500) {
        await collection.addMany({
          keys: keys.slice(from, from + 17_500),
          vectors: vectors.subarray(from * 2, (from + 17_500) * 2)
        })
      }
      assert.equal(collection.stats().segments, 2)
      await nearest(collection)
      await nearest(attached)
      await db.save()
    }
    await using db = await open(folder, { threads: 1 })
    await nearest(await db.collection("c"))
  } finally {
    await rm(folder, { recursive: true })
  }
})
