/** Documents of LangChain in a collection, and embeddings, with LangChain's own retrievers. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Document } from "@langchain/core/documents"
import { SabineEmbeddings, SabineVectorStore } from "../../src/adapters/langchain.ts"
import { hashEmbedder, InvalidParameter, open } from "../../src/index.ts"
import { degrees } from "../cache/caches.ts"

describe("SabineEmbeddings", () => {
  test("embeds as the embedder does", async () => {
    const embedder = hashEmbedder({ dimensions: 32 })
    const embeddings = new SabineEmbeddings(embedder)
    const texts = ["a cat", "a dog"]
    const flat = Array.from(await embedder.embed(texts))
    assert.deepEqual(await embeddings.embedDocuments(texts), [flat.slice(0, 32), flat.slice(32)])
    assert.deepEqual(await embeddings.embedQuery("a dog"), flat.slice(32))
    assert.deepEqual(await embeddings.embedDocuments([]), [])
  })
})

describe("SabineVectorStore", () => {
  const embeddings = new SabineEmbeddings(degrees())
  const texts = ["cat 0", "cat 1", "cat 30", "dog 0"]
  const lang = ["en", "de", "en", "de"]
  const made = (db: Awaited<ReturnType<typeof open>>) =>
    SabineVectorStore.fromTexts(
      texts,
      lang.map((lang, i) => ({ lang, deep: { i } })),
      embeddings,
      { db, dimensions: 6, fields: { lang: "tag" } }
    )
  const contents = (documents: ReadonlyArray<{ readonly pageContent: string }>) =>
    documents.map(({ pageContent }) => pageContent)

  test("finds documents by text and by vector, with scores, metadata and filters", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const found = await store.similaritySearchWithScore("cat 0", 3)
    assert.deepEqual(contents(found.map(([document]) => document)), ["cat 0", "cat 1", "cat 30"])
    assert.deepEqual(found[2]![0].metadata, { lang: "en", deep: { i: 2 } })
    assert.ok(found.every(([, score], i) => Math.abs(score - Math.cos(([0, 1, 30][i]! * Math.PI) / 180)) < 1e-3))
    assert.deepEqual(contents(await store.similaritySearch("cat 0", 2, { lang: "en" })), ["cat 0", "cat 30"])
    await assert.rejects(store.similaritySearch("cat 0", 2, { unknown: "en" }), InvalidParameter)
  })

  test("replaces what an id stood for, and deletes by id", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const document = new Document({ pageContent: "sun 0", metadata: { lang: "fr" }, id: "s" })
    assert.deepEqual(await store.addDocuments([document]), ["s"])
    const again = new Document({ pageContent: "sun 0", metadata: {} })
    assert.deepEqual(await store.addDocuments([again, again], { ids: ["s", "s"] }), ["s", "s"])
    assert.deepEqual(contents(await store.similaritySearch("sun 0", 1, { lang: "fr" })), [])
    const [[found, score]] = (await store.similaritySearchWithScore("sun 0", 1)) as [[Document, number]]
    assert.deepEqual([found.id, Math.round(score)], ["s", 1])
    await store.delete({ ids: ["s", "unknown"] })
    assert.equal((await db.collection("documents")).size(), 4)
    await assert.rejects(store.addDocuments([again], { ids: [] }), InvalidParameter)
    await assert.rejects(store.addVectors([], [again]), InvalidParameter)
  })

  test("keeps all documents of a call or none, also of those that are known, and one of each new id", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const add = (pageContent: string, vectors: Array<Array<number>>, ids: Array<string>) =>
      store.addVectors(
        vectors,
        ids.map(() => new Document({ pageContent, metadata: {} })),
        { ids }
      )
    const at = (c: number) => [0, 0, 0, 0, 0, 0].with(c, 1)
    await Promise.all(["one", "two"].map((text) => add(text, [at(4), at(5)], ["new", text])))
    await assert.rejects(add("three", [at(5), [1]], ["three", "new"]), { _tag: "DimensionMismatch" })
    await assert.rejects(add("three", [at(5), at(5)], ["new", ""]), InvalidParameter)
    const found = await store.similaritySearchVectorWithScore(at(4), 1)
    assert.deepEqual([found[0]![0].id, found[0]![0].pageContent], ["new", "two"])
    assert.equal((await db.collection("documents")).size(), texts.length + 3)
  })

  test("deletes what a filter lets through, however many, and asks for no more than a search can find", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const many = Array.from(
      { length: 1500 },
      (_, i) => new Document({ pageContent: `sun ${i % 90}`, metadata: { lang: "fr" } })
    )
    await store.addDocuments(many)
    assert.equal((await store.similaritySearch("sun 0", 4000)).length, 1024)
    await store.delete({ filter: { lang: "fr" } })
    assert.equal((await db.collection("documents")).size(), 4)
    await store.delete({ ids: ["unknown"], filter: { lang: "en" } })
    assert.deepEqual(contents(await store.similaritySearch("cat 0", 9)), ["cat 1", "dog 0"])
    await assert.rejects(store.delete({ filter: { unknown: "fr" } }), InvalidParameter)
    for (const which of [{}, undefined]) await assert.rejects(store.delete(which), InvalidParameter)
  })

  test("finds what others wrote into the collection as documents without a text", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const collection = await db.collection("documents")
    const vector = [0, 0, 0, 0, 0, 1]
    for (const [i, payload] of [undefined, 5, { text: "sun" }].entries()) {
      await collection.add({ key: `other ${i}`, vector, payload })
    }
    const found = await store.similaritySearchVectorWithScore(vector, 3)
    assert.deepEqual(
      found.map(([{ id, pageContent, metadata }]) => [id, pageContent, metadata]),
      [0, 1, 2].map((i) => [`other ${i}`, "", {}])
    )
  })

  test("finds documents that are unlike one another, and is a retriever of both kinds", async () => {
    await using db = await open(":memory:")
    const store = await made(db)
    const unlike = await store.maxMarginalRelevanceSearch("cat 0", {
      k: 2,
      lambda: 0.3,
      filter: { lang: { exists: true } }
    })
    assert.notDeepEqual(contents(unlike), ["cat 0", "cat 1"])
    assert.deepEqual(contents(await store.maxMarginalRelevanceSearch("cat 0", { k: 2, lambda: 1 })), ["cat 0", "cat 1"])
    assert.deepEqual(contents(await store.asRetriever(2).invoke("cat 0")), ["cat 0", "cat 1"])
    const mmr = store.asRetriever({ k: 2, searchType: "mmr", searchKwargs: { lambda: 0.3, fetchK: 4 } })
    assert.deepEqual(contents(await mmr.invoke("cat 0")), contents(unlike))
    const filtered = store.asRetriever({ k: 4, filter: { lang: "de" } })
    assert.deepEqual(contents(await filtered.invoke("cat 0")), ["cat 1", "dog 0"])
  })

  test("keeps namespaces apart, and opens what is there without embedding", async () => {
    await using db = await open(":memory:")
    const one = await SabineVectorStore.open(embeddings, { db, namespace: "one", dimensions: 6 })
    await one.addDocuments([new Document({ pageContent: "cat 0", metadata: {} })], { ids: ["a"] })
    const unused = { embedQuery: () => assert.fail("embedded"), embedDocuments: () => assert.fail("embedded") }
    const two = await SabineVectorStore.open(unused, { db, namespace: "two" })
    assert.deepEqual(await two.similaritySearchVectorWithScore([1, 0, 0, 0, 0, 0], 5), [])
    assert.equal((await one.similaritySearchVectorWithScore([1, 0, 0, 0, 0, 0], 5)).length, 1)
  })
})
