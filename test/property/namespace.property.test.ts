/** Namespaces against a map each: what one holds never shows in another. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { attach, type Collection, type Filter, type Namespace, open } from "../../src/index.ts"

const NAMES = ["acme", "zenith", "n\u0000", "ÿ"] as const
/** Keys that look like those of a namespace to who reads bytes as text. */
const KEYS = ["a", "b", "\u0001\u0000\u0000\u0000a", "ÿ\u0001\u0000\u0000\u0000a", "\ufffd\u0001\u0000\u0000\u0000a"]
const FIELDS = { lang: "tag", year: "number" } as const

type View = Namespace | Collection

/** Filters that a caller may try to see more with. */
const FILTERS: ReadonlyArray<Filter> = [
  {},
  { not: { lang: "acme" } },
  { or: [{}, { lang: "en" }] },
  { not: { not: {} } },
  { year: { exists: false } },
  { lang: { ne: "zenith" } }
]

interface Step {
  readonly space: number
  readonly key: string
  readonly what: "add" | "update" | "delete"
  readonly lang: string
}

const step: fc.Arbitrary<Step> = fc.record({
  space: fc.integer({ min: 0, max: NAMES.length }),
  key: fc.constantFrom(...KEYS),
  what: fc.constantFrom("add", "add", "update", "delete"),
  // Names of namespaces are texts of the same dictionary.
  lang: fc.constantFrom("en", ...NAMES)
})

type Model = Map<string, string>

const apply = async (view: View, model: Model, { key, what, lang }: Step): Promise<void> => {
  const has = model.has(key)
  if (what === "delete") {
    assert.equal(await view.delete(key), has)
    model.delete(key)
    return
  }
  const written = view[what]({ key, vector: [1, key.length], payload: lang, fields: { lang } })
  if (has !== (what === "update")) return assert.rejects(written, { _tag: has ? "DuplicateKey" : "KeyNotFound" })
  await written
  model.set(key, lang)
}

const assertIs = async (view: Omit<View, "namespace" | "add" | "addMany" | "update" | "delete">, model: Model) => {
  assert.equal(view.size(), model.size)
  for (const key of KEYS) {
    assert.equal(await view.has(key), model.has(key))
    assert.equal((await view.get(key))?.payload, model.get(key))
  }
  const met = new Map<string, unknown>()
  for await (const { key, payload } of view.entries()) met.set(key, payload)
  assert.deepEqual(sorted(met), sorted(model))
  for (const mode of ["exact", "flat", "binary"] as const) {
    const hits = await view.search([1, 1], { mode, k: 100 })
    assert.deepEqual(sorted(hits.map(({ key, payload }) => [key, payload])), sorted(model))
    assert.equal((await view.search([1, 1], { mode, k: 1 })).length, Math.min(1, model.size))
  }
  for (const filter of FILTERS) {
    for (const { key, payload } of await view.search([1, 1], { filter, k: 100 })) assert.equal(payload, model.get(key))
    const { keys, counts } = await view.searchMany(Float32Array.of(1, 1), { filter, k: 100 })
    assert.ok(keys.slice(0, counts[0]).every((key) => model.has(key)))
  }
}

const sorted = (entries: Iterable<readonly [string, unknown]>) =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

test("a namespace is what was written in it, and nothing of the others", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-namespace-"))
  let number = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const path = join(folder, `${++number}`)
      const models: ReadonlyArray<Model> = [...NAMES, undefined].map(() => new Map())
      const viewsOf = (collection: Collection): ReadonlyArray<View> => [
        ...NAMES.map((name) => collection.namespace(name)),
        collection
      ]
      {
        await using db = await open(path, { threads: 1 })
        const collection = await db.collection("c", { dimensions: 2, fields: FIELDS })
        const views = viewsOf(collection)
        const attached = [...NAMES, undefined].map((namespace) => attach(collection.share().handle, { namespace }))
        for (const step of steps) await apply(views[step.space]!, models[step.space]!, step)
        for (const [i, model] of models.entries()) {
          await assertIs(views[i]!, model)
          await assertIs(attached[i]!, model)
          await attached[i]!.close()
        }
        await db.save()
      }
      await using db = await open(path, { threads: 1 })
      const views = viewsOf(await db.collection("c"))
      for (const [i, model] of models.entries()) await assertIs(views[i]!, model)
    }),
    { numRuns: 25 }
  )
  await rm(folder, { recursive: true })
})

test("a namespace has a name", async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("c", { dimensions: 2 })
  for (const name of ["", "x".repeat(1025), "\ud800", 7 as unknown as string, undefined as unknown as string]) {
    assert.throws(() => collection.namespace(name), { _tag: "InvalidParameter", parameter: "namespace" })
  }
  assert.throws(() => attach(collection.share().handle, { namespace: "" }), { parameter: "namespace" })
  assert.equal(collection.namespace("never written").size(), 0)
  assert.equal(collection.namespace("acme").namespace, "acme")
})
