/** `sabine cache calibrate <pairs>`: how sure the cache has to be, measured on one's own questions. */
import { readFile, writeFile } from "node:fs/promises"
import { gunzipSync } from "node:zlib"
import { type Command, Option } from "commander"
import type { CacheCalibration, LabelledPair } from "../../cache.ts"
import type { Embedder } from "../../index.ts"
import { print } from "../print.ts"

const EMBEDDERS = ["static", "openai", "ollama"] as const

interface Options {
  readonly embedder: (typeof EMBEDDERS)[number]
  readonly model?: string
  readonly out?: string
}

/** Budgets that the summary tells of. */
const RATES = [0.001, 0.01, 0.05]

export const addCalibrate = (parent: Command): void => {
  parent
    .command("calibrate")
    .description("Measures on labelled pairs how sure the cache has to be; the outcome is its option calibration.")
    .argument("<pairs>", "lines of label (1 same, 0 not), question and question between tabs; .gz as well")
    .addOption(new Option("--embedder <name>", "what the cache embeds with").choices(EMBEDDERS).default("static"))
    .option("--model <name>", "model of the embedder")
    .option("--out <file>", "where to write the calibration; without it, it is printed as JSON")
    .action(run)
}

const run = async (path: string, options: Options): Promise<void> => {
  const pairs = await readPairs(path)
  const { calibrateCache } = await import("../../cache.ts")
  const calibration = await calibrateCache(pairs, { embedder: await embedderOf(options) })
  if (options.out === undefined) return print(JSON.stringify(calibration))
  await writeFile(options.out, `${JSON.stringify(calibration)}\n`)
  print(`${pairs.length} pairs, ${calibration.embedder}: ${options.out}`)
  for (const line of await summaryOf(calibration)) print(line)
}

const readPairs = async (path: string): Promise<ReadonlyArray<LabelledPair>> => {
  const bytes = await readFile(path)
  // Spreadsheets write a byte order mark first.
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8").replace(/^\ufeff/, "")
  const lines = text.split(/\r?\n/)
  return lines.flatMap((line, i) => {
    if (line === "") return []
    const [label, a, b] = line.split("\t")
    if ((label === "0" || label === "1") && a && b) return [{ a, b, same: label === "1" }]
    throw new Error(`${path}, line ${i + 1}: wanted a label of 0 or 1 and two questions between tabs`)
  })
}

const embedderOf = async ({ embedder, model }: Options): Promise<Embedder> => {
  const { embedderOf, ollamaEmbedder, openaiEmbedder, staticEmbedder } = await import("../../index.ts")
  if (embedder === "openai") return embedderOf(openaiEmbedder({ model }))
  if (embedder === "ollama") return embedderOf(ollamaEmbedder({ model }))
  return staticEmbedder()
}

/** For each budget and size of cache, the share of duplicates that are served. */
const summaryOf = async (calibration: CacheCalibration): Promise<ReadonlyArray<string>> => {
  const { leastProbability } = await import("../../cache.ts")
  return calibration.curves.flatMap(({ cached, duplicates, cuts }) =>
    RATES.map((maxFalseHitRate) => {
      const least = leastProbability(calibration, { maxFalseHitRate, cached })
      const budget = `${cached} cached, at most ${100 * maxFalseHitRate} % of look-ups wrong:`
      if (least === undefined) return `${budget} too few pairs to tell, only the same request is served`
      const right = cuts.findLast(({ probability }) => probability >= least)?.rightDuplicates ?? 0
      return `${budget} from probability ${least.toFixed(3)}, ${((100 * right) / duplicates).toFixed(1)} % of duplicates found`
    })
  )
}
