/**
 * The main job on real text: the glosses of WordNet, embedded offline, saved, opened again in one
 * bulk read, and asked.
 *
 *   npm start                      a handful of questions
 *   npm start -- "your question"   yours
 */
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { progress } from "@clack/prompts"
import { type Collection, CollectionMismatch, ImageInvalid, open, staticEmbedder } from "../../src/index.ts"
import { synsets } from "./glosses.ts"
import { flatRecall, heldOutQueries, plainRead, searchTimes } from "./measure.ts"

const FOLDER = fileURLToPath(new URL("../../.sabine/wordnet", import.meta.url))
const IMAGE = join(FOLDER, "glosses.image")
const BATCH = 8192
const QUERIES = 200
/** The kernels in TypeScript take many times as long. */
const FALLBACK_QUERIES = 20
const QUESTIONS = [
  "the fear of closed spaces",
  "someone who studies the stars",
  "someone who breaks into houses to steal",
  "a disease caused by lack of vitamin C",
  "a period of ten years"
]

/** What the payload of a gloss holds. */
interface Gloss {
  readonly words: ReadonlyArray<string>
  readonly text: string
}

const embedder = staticEmbedder()
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** Embeds, adds and saves every gloss; returns the milliseconds that embedding and adding took. */
const build = async (): Promise<number> => {
  await using db = await open(FOLDER)
  const glosses = await db.collection("glosses", { embedder })
  const all = await synsets()
  const bar = process.stdout.isTTY ? progress({ max: all.length }) : undefined
  bar?.start("Adding the glosses of WordNet")
  const start = performance.now()
  for (let from = 0; from < all.length; from += BATCH) {
    const batch = all.slice(from, from + BATCH)
    await glosses.addMany(batch.map(({ key, words, gloss: text }) => ({ key, text, payload: { words, text } })))
    bar?.advance(batch.length)
  }
  const ms = performance.now() - start
  await db.save()
  const done = `${all.length} glosses embedded, encoded and saved`
  if (bar) bar.stop(done)
  else console.log(done)
  return ms
}

const answer = async (glosses: Collection, question: string): Promise<void> => {
  console.log(`\n? ${question}`)
  for (const { score, payload } of await glosses.search(question, { k: 3 })) {
    const { words, text } = payload as Gloss
    console.log(`  ${score.toFixed(3)}  ${words.slice(0, 3).join(", ")}: ${text}`)
  }
}

const printTable = (rows: ReadonlyArray<readonly [string, string]>): void => {
  console.log()
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value}`)
}

/** An image of an older version or other embedder is made anew: it is only a demonstration's. */
const openGlosses = async () => {
  const db = await open(FOLDER)
  try {
    const start = performance.now()
    const glosses = await db.collection("glosses", { embedder })
    return { db, glosses, loadMs: performance.now() - start }
  } catch (error) {
    await db.close()
    if (!(error instanceof ImageInvalid || error instanceof CollectionMismatch)) throw error
    console.log(`${error.message}: building it again`)
    await rm(FOLDER, { recursive: true })
    return undefined
  }
}

const saved = existsSync(IMAGE) ? await openGlosses() : undefined
const buildMs = saved === undefined ? await build() : undefined
const opened = saved ?? (await openGlosses())
if (opened === undefined) throw new Error("the image just written cannot be opened")
await using _db = opened.db
const { glosses, loadMs } = opened

const asked = process.argv.slice(2)
for (const question of asked.length > 0 ? [asked.join(" ")] : QUESTIONS) await answer(glosses, question)

const { entries, isa, fallback, bytes } = glosses.stats()
const count = fallback === undefined ? QUERIES : FALLBACK_QUERIES
console.log(`\nMeasuring with ${count} queries`)
const floor = await plainRead(IMAGE)
const texts = (await synsets()).map(({ gloss }) => gloss)
const queries = await heldOutQueries(embedder, texts, count)
const recall = await flatRecall(glosses, queries)
printTable([
  ["entries", `${entries} x ${embedder.dimensions}`],
  ["memory", `${Math.round(bytes.touched / entries)} bytes an entry, keys, texts and vectors included`],
  ["build", buildMs === undefined ? "done before" : seconds(buildMs)],
  ["image", megabytes(floor.bytes)],
  ["load", `${loadMs.toFixed(0)} ms (a plain read of the file: ${floor.ms.toFixed(0)} ms)`],
  ...(await searchTimes(glosses, queries)).map(
    ({ mode, p50, p99 }) => [`${mode} search`, `p50 ${p50.toFixed(0)} us, p99 ${p99.toFixed(0)} us`] as const
  ),
  ["recall@10", `${recall.toFixed(3)} of flat against exact`],
  ["kernels", fallback === undefined ? isa : `TypeScript: ${fallback}`]
])
