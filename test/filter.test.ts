/** Fields and filters through collections: what is refused, what is found, and what is kept. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { serviceOf } from "../src/behind.ts"
import { insideOf } from "../src/core/collection/inside.ts"
import { passingNamespace } from "../src/core/collection/namespace.ts"
import { settled } from "../src/core/collection/settled.ts"
import {
  attach,
  type Collection,
  type CollectionOptions,
  type FieldInput,
  type Filter,
  type InvalidParameter,
  open,
  type Precision,
  type SearchOptions
} from "../src/index.ts"
import { failsWith } from "./failures.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { turnsOf } from "./turns.ts"

const FIELDS = { lang: "tag", year: "number", draft: "boolean", at: "timestamp" } as const
const SHAPE: CollectionOptions = { dimensions: 2, fields: FIELDS }

/** Rejects with `InvalidParameter` that names `parameter`. */
const refused = (call: Promise<unknown>, parameter: string, reason = /./): Promise<void> =>
  assert.rejects(call, (error: InvalidParameter) => {
    assert.equal(error._tag, "InvalidParameter")
    assert.equal(error.parameter, parameter)
    assert.match(error.reason, reason)
    return true
  })

const keysOf = async (collection: Pick<Collection, "search">, filter: Filter): Promise<ReadonlyArray<string>> =>
  (await collection.search([1, 1], { filter, k: 100 })).map(({ key }) => key).sort()

type Reading = (reader: Pick<Collection, "search" | "get" | "has" | "entries">) => Promise<void>

describe("fields", () => {
  test("come back with hits, entries and iteration, a date in milliseconds", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    const at = new Date("2026-01-02T03:04:05.678Z")
    await notes.add({ key: "a", vector: [1, 0], fields: { lang: "en", year: 2026, draft: false, at } })
    await notes.addMany([
      { key: "b", vector: [0, 1], fields: { lang: "", year: -0.5, draft: true, at: -1 } },
      { key: "c", vector: [1, 1], fields: { lang: null, year: undefined } },
      { key: "d", vector: [2, 1] }
    ])
    const expected = {
      a: { lang: "en", year: 2026, draft: false, at: at.getTime() },
      b: { lang: "", year: -0.5, draft: true, at: -1 },
      c: {},
      d: {}
    }
    const hits = await notes.search([1, 1])
    assert.deepEqual(Object.fromEntries(hits.map(({ key, fields }) => [key, fields])), expected)
    for (const [key, fields] of Object.entries(expected)) assert.deepEqual((await notes.get(key))?.fields, fields)
    const met: Record<string, unknown> = {}
    for await (const { key, fields } of notes.entries()) met[key] = fields
    assert.deepEqual(met, expected)
  })

  test("of a batch in columns are an array a field", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    const vectors = randomVectors(1, 6)
    const keys = ["a", "b", "c"]
    await notes.addMany({
      keys,
      vectors,
      fields: {
        lang: ["en", null, "de"],
        year: Float64Array.of(1, 2, 3),
        at: [undefined, new Date(5), 6],
        draft: undefined
      }
    })
    assert.deepEqual(await Promise.all(keys.map(async (key) => (await notes.get(key))?.fields)), [
      { lang: "en", year: 1 },
      { year: 2, at: 5 },
      { lang: "de", year: 3, at: 6 }
    ])
    const more = { keys: ["d"], vectors: vectors.subarray(0, 2) }
    await refused(notes.addMany({ ...more, fields: { lang: ["en", "de"] } }), "fields.lang", /an array of 1/)
    await refused(notes.addMany({ ...more, fields: { lang: [7] } }), "fields.lang[0]")
    await refused(notes.addMany({ ...more, fields: { year: "9" } }), "fields.year")
    assert.equal(notes.size(), 3)
  })

  test("are checked before anything is written", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    const wrong: ReadonlyArray<readonly [field: string, fields: FieldInput]> = [
      ["other", { other: 1 }],
      ["constructor", { constructor: 1 } as unknown as FieldInput],
      ["lang", { lang: 1 }],
      ["lang", { lang: "x".repeat(1025) }],
      ["lang", { lang: "\ud800" }],
      ["year", { year: Number.NaN }],
      ["year", { year: Number.POSITIVE_INFINITY }],
      ["year", { year: new Date() }],
      ["draft", { draft: 1 }],
      ["at", { at: new Date(Number.NaN) }],
      ["at", { at: "2026" }]
    ]
    for (const [field, fields] of wrong) {
      await refused(notes.add({ key: "a", vector: [1, 0], fields }), `fields.${field}`)
      await refused(notes.addMany([{ key: "a", vector: [1, 0], fields }]), `entries[0].fields.${field}`)
    }
    await refused(notes.add({ key: "a", vector: [1, 0], fields: 7 as unknown as FieldInput }), "fields")
    assert.equal(notes.size(), 0)
    const plain = await db.collection("plain", { dimensions: 2 })
    await refused(plain.add({ key: "a", vector: [1, 0], fields: { lang: "en" } }), "fields.lang", /no fields/)
    await plain.add({ key: "a", vector: [1, 0], fields: {} })
    assert.equal("fields" in (await plain.search([1, 0]))[0]!, false)
  })

  test("of a collection are names and types", async () => {
    await using db = await open(":memory:")
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`f${i}`, "tag"]))
    for (const [parameter, fields] of [
      ["fields", 7],
      ["fields", many],
      ["fields.and", { and: "tag" }],
      ["fields.__proto__", JSON.parse('{"__proto__":"tag"}')],
      ["fields.1", { 1: "tag" }],
      ["fields.a-b", { "a-b": "tag" }],
      ["fields.a", { a: "text" }]
    ] as const) {
      await refused(db.collection("wrong", { dimensions: 2, fields }), parameter)
    }
    const { f32: _, ...most } = many
    const wide = await db.collection("wide", { dimensions: 2, fields: most as Record<string, "tag"> })
    assert.equal(Object.keys(wide.shape.fields ?? {}).length, 32)
  })

  test("are changed one by one, with or without the vector", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    await notes.add({ key: "a", vector: [1, 0], payload: 1, fields: { lang: "en", year: 1, draft: true } })
    await notes.update({ key: "a", fields: { year: 2, draft: null, at: undefined } })
    assert.deepEqual((await notes.get("a"))?.fields, { lang: "en", year: 2 })
    assert.deepEqual(await keysOf(notes, { year: 1 }), [])
    assert.deepEqual(await keysOf(notes, { year: 2, draft: { exists: false } }), ["a"])
    await notes.update({ key: "a", vector: [0, 1] })
    assert.deepEqual((await notes.get("a"))?.fields, { lang: "en", year: 2 })
    await notes.update({ key: "a", vector: [0, 1], payload: 2, fields: { lang: "de" } })
    assert.deepEqual((await notes.search([0, 1]))[0], {
      key: "a",
      score: 1,
      payload: 2,
      fields: { lang: "de", year: 2 }
    })
    await refused(notes.update({ key: "a", fields: { year: "2" } }), "fields.year")
    assert.deepEqual(await keysOf(notes, { lang: "de", year: 2 }), ["a"])
  })
})

describe("filters", () => {
  test("what is wrong is named by its path", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    const deep = Array.from({ length: 16 }).reduce<Filter>((filter) => ({ not: filter }), {})
    const wrong: ReadonlyArray<readonly [path: string, filter: unknown]> = [
      ["filter", 7],
      ["filter", null],
      ["filter", []],
      ["filter.other", { other: 1 }],
      ["filter.toString", { toString: 1 }],
      ["filter.year.above", { year: { above: 1 } }],
      ["filter.year", { year: "2020" }],
      ["filter.year", { year: null }],
      ["filter.year", { year: [1] }],
      ["filter.year.gte", { year: { gte: Number.NaN } }],
      ["filter.lang.gt", { lang: { gt: "a" } }],
      ["filter.draft.lte", { draft: { lte: true } }],
      ["filter.draft", { draft: 0 }],
      ["filter.at.in", { at: { in: 1 } }],
      ["filter.at.in[1]", { at: { in: [1, "2"] } }],
      ["filter.at.in", { at: { in: new Array(1025).fill(1) } }],
      ["filter.lang.exists", { lang: { exists: 1 } }],
      ["filter.and", { and: {} }],
      ["filter.or[1].year", { or: [{}, { year: true }] }],
      ["filter.not.not.lang", { not: { not: { lang: 1 } } }],
      [`filter${".not".repeat(16)}`, deep],
      ["filter.or[4].year.in", { or: new Array(5).fill({ year: { in: new Array(1000).fill(1) } }) }],
      ["filter.or[256].year", { or: new Array(257).fill({ year: 1 }) }]
    ]
    for (const [path, filter] of wrong) {
      await refused(notes.search([1, 0], { filter: filter as Filter }), path)
      await refused(notes.searchMany(Float32Array.of(1, 0), { filter: filter as Filter }), path)
    }
    const plain = await db.collection("plain", { dimensions: 2 })
    await refused(plain.search([1, 0], { filter: { year: 1 } }), "filter.year", /no fields/)
  })

  test("the full k comes back at every selectivity, in every mode and precision", async () => {
    const count = 3000
    const dimensions = 8
    await using db = await open(":memory:", { threads: 2 })
    for (const precision of ["f32", "int8", "none"] as const satisfies ReadonlyArray<Precision>) {
      const items = await db.collection(precision, { dimensions, precision, fields: { rank: "number" } })
      const keys = Array.from({ length: count }, (_, i) => `${i}`)
      const rank = keys.map((_, i) => (i * 1237) % count)
      await items.addMany({ keys, vectors: randomVectors(4, count * dimensions), fields: { rank } })
      for (let i = 0; i < count; i += 3) await items.delete(`${i}`)
      const live = keys.filter((_, i) => i % 3 !== 0)
      const modes: ReadonlyArray<SearchOptions> =
        precision === "none"
          ? [{ mode: "flat" }, { mode: "binary" }]
          : [
              { mode: "exact" },
              { mode: "flat" },
              { mode: "flat", rerank: 0 },
              { mode: "binary" },
              { mode: "binary", rerank: 60 }
            ]
      for (const limit of [0, 1, 2, 30, 150, 700, 2999, 3000]) {
        const passing = new Set(live.filter((key) => rank[Number(key)]! < limit))
        for (const options of modes) {
          for (const k of [1, 10, 300]) {
            const hits = await items.search(randomVectors(5, dimensions), {
              ...options,
              k,
              filter: { rank: { lt: limit } }
            })
            assert.equal(
              hits.length,
              Math.min(k, passing.size),
              `${precision} ${limit} ${k} ${JSON.stringify(options)}`
            )
            assert.ok(hits.every(({ key, fields }) => passing.has(key) && fields?.["rank"] === rank[Number(key)]))
          }
        }
      }
    }
  })

  test("batches and shards find what single searches in place find", async () => {
    const dimensions = 16
    const count = 20_000
    await using db = await open(":memory:", { threads: 2 })
    const items = await db.collection("items", { dimensions, fields: { half: "boolean", tenth: "tag" } })
    const keys = Array.from({ length: count }, (_, i) => `${i}`)
    await items.addMany({
      keys,
      vectors: randomVectors(6, count * dimensions),
      fields: { half: keys.map((_, i) => i % 2 === 0), tenth: keys.map((_, i) => `${i % 10}`) }
    })
    const queries = randomVectors(7, 40 * dimensions)
    const options = { mode: "exact", k: 5, filter: { half: true, tenth: { in: ["4", "5"] } } } as const
    const many = await items.searchMany(queries, options)
    for (let i = 0; i < 40; i++) {
      const hits = await items.search(queries.subarray(i * dimensions, (i + 1) * dimensions), options)
      assert.ok(hits.every(({ key }) => Number(key) % 10 === 4))
      assert.deepEqual(
        hits.map(({ key }) => key),
        many.keys.slice(i * 5, i * 5 + 5)
      )
    }
  })

  test("searches that wait together keep to their own filters and namespaces", async () => {
    const dimensions = 64
    await using db = await open(":memory:", { threads: 2 })
    const items = await db.collection("items", { dimensions, fields: { group: "number" }, index: "none" })
    const views = [items, items.namespace("a"), items.namespace("b")]
    const count = 9000
    for (const [v, view] of views.entries()) {
      const group = Array.from({ length: count }, (_, i) => i % 3)
      await view.addMany({
        keys: group.map((_, i) => `${v} ${i}`),
        vectors: randomVectors(v, count * dimensions),
        fields: { group }
      })
    }
    const filters = [undefined, { group: 1 }, { group: { gt: 1 } }, { group: { gt: Number.MAX_VALUE } }]
    const passes = [() => true, (group: number) => group === 1, (group: number) => group > 1, () => false]
    const query = randomVectors(9, dimensions)
    const searches = Array.from({ length: 120 }, async (_, i) => {
      const filter = filters[i % 4]
      const v = i % 3
      const hits = await views[v]!.search(query, { mode: i % 2 === 0 ? "exact" : "flat", k: 5, filter })
      assert.equal(hits.length, i % 4 === 3 ? 0 : 5)
      for (const { key } of hits) {
        const [space, number] = key.split(" ").map(Number)
        assert.equal(space, v)
        assert.ok(passes[i % 4]!(number! % 3))
      }
    })
    await Promise.all(searches)
  })

  test("all of a namespace is one program from when something is written in it, and is found by those who asked before", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    const { store } = insideOf(await settled(serviceOf(db).collection("notes", SHAPE)))
    const passing = [undefined, "acme"].map((namespace) => passingNamespace(store, namespace)(undefined))
    const acme = notes.namespace("acme")
    for (const [key, view] of [
      ["a", notes],
      ["b", acme]
    ] as const) {
      assert.deepEqual(await keysOf(acme, {}), [])
      assert.deepEqual(await acme.search([1, 1]), [])
      assert.equal(passing[0]!.filter(), undefined)
      await view.add({ key, vector: [1, 1] })
    }
    const [ofNone, ofAcme] = passing.map(({ filter }) => filter())
    assert.ok(ofNone !== undefined && ofAcme !== undefined)
    assert.notDeepEqual(ofNone, ofAcme)
    assert.deepEqual([passing[0]!.filter() === ofNone, passing[1]!.filter() === ofAcme], [true, true])
    for (const [key, view] of [
      ["a", notes],
      ["b", acme]
    ] as const) {
      const hits = await view.search([1, 1])
      assert.deepEqual([hits.length, hits[0]!.key], [1, key])
    }
  })

  test("what is remembered of a filter is forgotten with a change", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", SHAPE)
    await notes.add({ key: "a", vector: [1, 0], fields: { year: 1 } })
    const found = () => keysOf(notes, { year: 1 })
    for (let i = 0; i < 4; i++) assert.deepEqual(await found(), ["a"])
    await notes.add({ key: "b", vector: [0, 1], fields: { year: 1 } })
    for (let i = 0; i < 4; i++) assert.deepEqual(await found(), ["a", "b"])
    await notes.update({ key: "a", fields: { year: 2 } })
    for (let i = 0; i < 4; i++) assert.deepEqual(await found(), ["b"])
    await notes.delete("b")
    for (let i = 0; i < 4; i++) assert.deepEqual(await found(), [])
  })

  test("what another thread attached to reads the same dictionary, as it grows", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const notes = await db.collection("notes", SHAPE)
    await using reader = attach(notes.share().handle)
    await notes.add({ key: "a", vector: [1, 0], fields: { lang: "en" } })
    assert.deepEqual(await keysOf(reader, { lang: "en" }), ["a"])
    assert.deepEqual(await keysOf(reader, { lang: { in: ["de", "fr"] } }), [])
    // More texts than a chunk of the dictionary holds.
    const langs = Array.from({ length: 1500 }, (_, i) => `${i}`.padEnd(1000, "-"))
    await notes.addMany(langs.map((lang) => ({ key: lang.slice(0, 9), vector: [1, 1], fields: { lang } })))
    for (const lang of [langs[0]!, langs[1400]!, langs[1499]!]) {
      assert.deepEqual(
        (await reader.search([1, 1], { filter: { lang } })).map(({ fields }) => fields),
        [{ lang }]
      )
    }
    assert.deepEqual((await reader.get("a"))?.fields, { lang: "en" })
  })

  test("a thread that has many texts to read leaves turns to others, and keeps to the limits of its search", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const notes = await db.collection("notes", SHAPE)
    const lang = Array.from({ length: 16_000 }, (_, i) => `tag ${i}`)
    const keys = lang.map((_, i) => `${i}`)
    await notes.addMany({ keys, vectors: randomVectors(3, 32_000), fields: { lang } })
    const get: Reading = async (reader) => assert.equal((await reader.get("3998"))?.fields?.["lang"], "tag 3998")
    const walk: Reading = async (reader) => {
      const entries = reader.entries()
      assert.equal((await entries.next()).value.fields.lang, "tag 0")
    }
    const has: Reading = async (reader) => assert.equal(await reader.has("0"), false)
    for (const [read, namespace] of [[get], [walk], [has, "nobody's"]] as const) {
      await using reader = attach(notes.share().handle, { namespace })
      const turns = await turnsOf(() => read(reader))
      assert.ok(turns >= lang.length / 8 - 2, `${turns} turns`)
    }
    await using reader = attach(notes.share().handle)
    const controller = new AbortController()
    const given = reader.search([1, 1], { filter: { lang: "nobody" }, signal: controller.signal })
    // A turn has begun in which some were read, and the rest waits.
    setImmediate(() => controller.abort(new Error("enough")))
    await assert.rejects(given, failsWith("Cancelled"))
    assert.deepEqual(await keysOf(reader, { lang: "tag 7" }), ["7"])
  })
})

describe("saved", () => {
  test("fields, dictionary and namespaces come back with the image", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "sabine-filter-"))
    t.after(() => rm(folder, { recursive: true }))
    const langs = Array.from({ length: 3000 }, (_, i) => `lang ${i}`)
    {
      await using db = await open(folder)
      const notes = await db.collection("notes", SHAPE)
      await notes.addMany(langs.map((lang, i) => ({ key: `${i}`, vector: [1, i + 1], fields: { lang, year: i } })))
      await notes.namespace("acme").add({ key: "0", vector: [1, 1], fields: { lang: "lang 7" } })
      await notes.delete("3")
      await db.save()
    }
    await using db = await open(folder)
    for (const fields of [{ lang: "tag" }, { ...FIELDS, year: "tag" }, { ...FIELDS, more: "tag" }, {}] as const) {
      await assert.rejects(db.collection("notes", { fields }), { _tag: "CollectionMismatch", field: "fields" })
    }
    const { at, draft, lang, year } = FIELDS
    const notes = await db.collection("notes", { fields: { at, draft, year, lang } })
    assert.deepEqual(notes.shape.fields, FIELDS)
    assert.equal(notes.size(), 2999)
    assert.deepEqual((await notes.get("2999"))?.fields, { lang: "lang 2999", year: 2999 })
    assert.deepEqual(await keysOf(notes, { lang: { in: ["lang 3", "lang 7", "lang 2001"] } }), ["2001", "7"])
    assert.deepEqual(await keysOf(notes.namespace("acme"), {}), ["0"])
    await notes.add({ key: "new", vector: [1, 1], fields: { lang: "lang new" } })
    assert.deepEqual(await keysOf(notes, { lang: { in: ["lang 1", "lang new"] } }), ["1", "new"])
    await using reader = attach(notes.share().handle)
    assert.deepEqual(await keysOf(reader, { lang: { in: ["lang 1", "lang new"] } }), ["1", "new"])
  })
})
