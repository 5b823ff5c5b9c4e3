/** What the folder of a release holds, and all that can be asked of such a folder. */
import type { Collection, CollectionOptions, Database, EntryInput } from "../../src/index.ts"

/** Small whole numbers: the same on every machine. */
const vectorOf = (seed: number, dimensions: number): Float32Array =>
  Float32Array.from({ length: dimensions }, (_, j) => ((seed * 7 + j * j * 3 + seed * j) % 13) - 6 || 1)

/** A collection of every kind that a few rows can make. */
const COLLECTIONS: Readonly<Record<string, CollectionOptions & { readonly dimensions: number }>> = {
  notes: { dimensions: 2, fields: { lang: "tag", year: "number", draft: "boolean", at: "timestamp" } },
  half: { dimensions: 3, metric: "dot", precision: "f16" },
  bytes: { dimensions: 3, metric: "l2", precision: "int8" },
  codes: { dimensions: 4, precision: "none", codes: "published" },
  products: { dimensions: 8, precision: "none", codes: { pq: { m: 4, bits: 4 } } }
}
const NAMESPACE = "acme"
const QUERIES = [1, 5, 9]
/** All that there are: equal scores are in the order of rows, which no version promises. */
const K = 32
/** Scores of stored vectors may differ in their last bits. */
const DIGITS = 4

const entryOf = (name: string, i: number): EntryInput => ({
  key: `${name} ${i} ä`,
  vector: vectorOf(i + 1, COLLECTIONS[name]!.dimensions),
  ...(i % 3 > 0 && {
    payload: i % 3 === 1 ? { text: `payload ${i} é`, list: [i, null] } : new Uint8Array([0, i, 255])
  }),
  ...(name === "notes" && {
    fields: { lang: i % 2 === 0 ? "en" : "de", year: 2000.5 + i, draft: i % 4 === 0, at: i * 1e12 }
  })
})

/** Fills a new database: two images each, frames that are folded, and frames of every kind behind the images. */
export const fill = async (db: Database): Promise<void> => {
  const collections = new Map<string, Collection>()
  for (const [name, options] of Object.entries(COLLECTIONS)) {
    const collection = await db.collection(name, options)
    if (typeof options.codes === "object") {
      const rows = Array.from({ length: 256 }, (_, i) => [...vectorOf(i, options.dimensions)])
      await collection.train(Float32Array.from(rows.flat()))
    }
    collections.set(name, collection)
  }
  const all = async (work: (name: string, collection: Collection) => Promise<unknown>) => {
    for (const [name, collection] of collections) await work(name, collection)
  }
  await all((name, collection) => collection.addMany([0, 1, 2, 3, 4].map((i) => entryOf(name, i))))
  await db.save()
  await all(async (name, collection) => {
    await collection.namespace(NAMESPACE).add(entryOf(name, 5))
    await collection.delete(entryOf(name, 0).key)
    await collection.update({ key: entryOf(name, 1).key, payload: "changed" })
  })
  await db.save()
  await all(async (name, collection) => {
    await collection.addMany([6, 7].map((i) => entryOf(name, i)))
    await collection.namespace(NAMESPACE).add(entryOf(name, 8))
    await collection.update({ ...entryOf(name, 9), key: entryOf(name, 2).key })
    await collection.update({ key: entryOf(name, 3).key, payload: { changed: true } })
    await collection.delete(entryOf(name, 4).key)
  })
  await collections.get("notes")!.update({ key: entryOf("notes", 6).key, fields: { lang: "fr", year: null } })
}

/** Entries, sizes and searches of every collection, as JSON has them. */
export const answersOf = async (db: Database): Promise<unknown> => {
  const answers: Record<string, unknown> = {}
  for (const name of await db.collections()) {
    const collection = await db.collection(name)
    for (const view of [collection, collection.namespace(NAMESPACE)]) {
      const entries: Array<unknown> = []
      for await (const { vector, ...entry } of view.entries()) {
        entries.push({ ...entry, vector: vector && [...vector].map((x) => x.toFixed(DIGITS)) })
      }
      const searches: Array<unknown> = []
      for (const query of QUERIES) {
        const hits = await view.search(vectorOf(query, collection.shape.dimensions), { k: K })
        searches.push(hits.map(({ key, score }) => `${score.toFixed(DIGITS)} ${key}`).sort())
      }
      const filtered = name !== "notes" ? undefined : await view.search([1, 0], { k: K, filter: { lang: "de" } })
      const byKey = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
      answers[view === collection ? name : `${name} in ${NAMESPACE}`] = {
        shape: collection.shape,
        size: view.size(),
        entries: entries.sort(byKey),
        searches,
        filtered: filtered?.map(({ key }) => key).sort()
      }
    }
  }
  return JSON.parse(JSON.stringify(answers))
}
