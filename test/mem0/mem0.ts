/**
 * mem0 on the vector store of LangChain, with mem0 itself: `npm run test:mem0`, which installs it into this folder. It is
 * no part of `npm test`, because what it needs is compiled first, for a minute or more.
 */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { SabineEmbeddings, SabineVectorStore } from "../../src/adapters/langchain.ts"
import { type Database, hashEmbedder, open, staticEmbedder } from "../../src/index.ts"
import { OpenAiServer } from "../adapters/openai-server.ts"
import { inRepository, npm } from "../programs.ts"

const folder = inRepository("test/mem0")
if (!existsSync(`${folder}/node_modules/mem0ai`)) await npm(["ci", "--no-audit", "--no-fund"], folder)

/** What is used of mem0. */
interface Memory {
  add(
    messages: string | ReadonlyArray<object>,
    options: object
  ): Promise<{ readonly results: ReadonlyArray<Remembered> }>
  search(query: string, options: object): Promise<{ readonly results: ReadonlyArray<Remembered> }>
  getAll(options: object): Promise<unknown>
  delete(id: string): Promise<unknown>
}

interface Remembered {
  readonly id: string
  readonly memory: string
  readonly hash?: string
}

interface Kept {
  readonly metadata: { readonly data: string }
}

const home = await mkdtemp(join(tmpdir(), "sabine-mem0-"))
Object.assign(process.env, { MEM0_TELEMETRY: "false", MEM0_DIR: home })
const name: string = import.meta.resolve(`file://${folder}/node_modules/mem0ai/dist/oss/index.mjs`)
const { Memory } = (await import(name)) as { readonly Memory: new (config: object) => Memory }

/** What the model says was worth remembering. */
const facts = (...texts: ReadonlyArray<string>) => ({
  text: JSON.stringify({ memory: texts.map((text, i) => ({ id: String(i), text, attributed_to: "user" })) })
})

/** Remembered texts, best first. mem0 keeps the entities that it finds in the same store: they have no hash. */
const texts = ({ results }: { readonly results: ReadonlyArray<Remembered> }) =>
  results.filter(({ hash }) => hash !== undefined).map(({ memory }) => memory)

const ann = { filters: { user_id: "ann" } }

after(() => rm(home, { recursive: true }))

/** Embeds as OpenAI's server does, and by what words mean. */
const EMBEDDERS = {
  openai: (url: string) => ({
    embedder: { provider: "openai", config: { apiKey: "none", baseURL: url, url, model: "e" } },
    embeddings: new SabineEmbeddings(hashEmbedder({ dimensions: 32 })),
    dimension: 3
  }),
  langchain: () => {
    const embeddings = new SabineEmbeddings(staticEmbedder())
    return { embedder: { provider: "langchain", config: { model: embeddings } }, embeddings, dimension: 256 }
  }
} as const

/** A memory of one user, whose documents lie in a namespace of their own. */
const memoryOf = async (db: Database, url: string, user: string, provider: keyof typeof EMBEDDERS) => {
  const { embedder, embeddings, dimension } = EMBEDDERS[provider](url)
  const options = { db, name: "memories", namespace: user, dimensions: dimension } as const
  const store = await SabineVectorStore.open(embeddings, options)
  const memory = new Memory({
    llm: { provider: "openai", config: { apiKey: "none", baseURL: url, model: "m" } },
    embedder,
    vectorStore: { provider: "langchain", config: { client: store, collectionName: "memories", dimension } },
    disableHistory: true
  })
  return { memory, store }
}

test("what is added is found by what it means, by its own user alone, and again in another process", async () => {
  await using server = await OpenAiServer.start()
  const path = join(home, "db")
  {
    await using db = await open(path)
    const { memory } = await memoryOf(db, server.url, "ann", "langchain")
    server.says.push(facts("Ann keeps a small cat", "Ann plays the violin"))
    const { results } = await memory.add([{ role: "user", content: "I keep a cat, and play the violin" }], {
      userId: "ann"
    })
    assert.deepEqual(
      results.map(({ memory }) => memory),
      ["Ann keeps a small cat", "Ann plays the violin"]
    )
    assert.equal(texts(await memory.search("which music does she make?", ann))[0], "Ann plays the violin")
    assert.equal(texts(await memory.search("does she have a kitten?", ann))[0], "Ann keeps a small cat")
    // What is known already is not kept again.
    server.says.push(facts("Ann plays the violin"))
    await memory.add("I play the violin", { userId: "ann" })
    assert.equal(texts(await memory.search("the violin", ann)).filter((text) => /violin/.test(text)).length, 1)
    const bob = await memoryOf(db, server.url, "bob", "langchain")
    assert.deepEqual((await bob.memory.search("the violin", { filters: { user_id: "bob" } })).results, [])
  }
  await using db = await open(path)
  const { memory } = await memoryOf(db, server.url, "ann", "langchain")
  assert.equal(texts(await memory.search("the violin", ann))[0], "Ann plays the violin")
})

test("vectors of OpenAI's embeddings are kept and found, and what is added is added as it is where nothing is inferred", async () => {
  await using server = await OpenAiServer.start()
  await using db = await open(":memory:")
  const { memory } = await memoryOf(db, server.url, "ann", "openai")
  await memory.add("a short note", { userId: "ann", infer: false })
  await memory.add("a note that is a good deal longer", { userId: "ann", infer: false })
  assert.deepEqual(texts(await memory.search("a short note", { ...ann, topK: 400 })).sort(), [
    "a note that is a good deal longer",
    "a short note"
  ])
  assert.ok(server.asked.some(({ url }) => url.endsWith("/embeddings")))
})

test("what mem0 refuses to ask a store of LangChain for can be had of the store", async () => {
  await using server = await OpenAiServer.start()
  await using db = await open(":memory:")
  const { memory, store } = await memoryOf(db, server.url, "ann", "langchain")
  const added = await memory.add("Ann plays the violin", { userId: "ann", infer: false })
  await memory.add("Ann keeps a small cat", { userId: "ann", infer: false })
  const [{ id }] = added.results as [Remembered]
  // Its wrapper throws before the store is asked: when it does no more, README has to say so.
  await assert.rejects(memory.getAll(ann), /not supported by LangchainVectorStore/)
  await assert.rejects(memory.delete(id), /not reliably supported by LangchainVectorStore/)
  // As its wrapper deletes, once it comes to that.
  await store.delete({ filter: { _mem0_id: id } })
  assert.deepEqual(texts(await memory.search("cats and violins", ann)), ["Ann keeps a small cat"])
  const kept = db.collection("memories").then((collection) => collection.namespace("ann").entries())
  for await (const { payload } of await kept) assert.equal((payload as Kept).metadata.data, "Ann keeps a small cat")
})
