/**
 * `recall-stress.ts <items> <budget in MB>`: four threads that add to one pool and retrieve from it, both by asking the
 * thread that owns it and by searching its memory themselves. Every answer is checked, and so is what is left in the end.
 */
import { Worker } from "node:worker_threads"
import { open } from "../../src/index.ts"
import { recallPool } from "../../src/recall.ts"
import { type Asked, DIMENSIONS, isItem, isScore, type StressReport, vectorOf } from "./recall-stress-items.ts"

const THREADS = 4
const SAMPLE_MS = 20

const [count = 0, budgetMb = 0] = process.argv.slice(2).map(Number)
// Node 22 runs it too, and has no `using`.
const db = await open(":memory:", { threads: 1 })
const pool = await recallPool(db, {
  dimensions: DIMENSIONS,
  precision: "f16",
  maxSize: Number.POSITIVE_INFINITY,
  memoryBudgetMb: budgetMb
})
/** Keys in the order in which their items were added: the oldest give way. */
const added: Array<string> = []
const reports: Array<StressReport> = []
let [torn, retrievals] = [0, 0]

const answer = async (asked: Asked): Promise<void> => {
  if (asked.kind === "add") {
    added.push(...(await pool.addMany(asked.items)))
    return
  }
  const query = vectorOf(asked.number)
  for (const { key, score, payload } of await pool.similar(query, { k: 10 })) {
    retrievals++
    if (!isItem(key, payload) || !isScore(asked.number, key, score)) torn++
  }
}

const workers = Array.from({ length: THREADS }, (_, thread) => {
  const { handle, transferList } = pool.share()
  const workerData = { handle, thread, threads: THREADS, count }
  const program = new URL("recall-stress-thread.ts", import.meta.url)
  return new Worker(program, { workerData, transferList: [...transferList] })
})
// What the process takes before there is an item: Node, its threads and their code.
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))))
const baseline = process.memoryUsage.rss()
let peak = baseline
const sampling = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss())
}, SAMPLE_MS)
await Promise.all(
  workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.on("message", (message: Asked | StressReport) => {
          if (!("kind" in message)) {
            reports.push(message)
            resolve()
            return
          }
          answer(message).then(() => worker.postMessage("done"), reject)
        })
        worker.once("error", reject)
        worker.postMessage("begin")
      })
  )
)
clearInterval(sampling)
peak = Math.max(peak, process.memoryUsage.rss())
const { items, accepted, evicted } = pool.stats()
let lost = Math.abs(accepted - evicted - items) + (count - accepted)
for (const key of added.slice(added.length - items)) {
  const item = await pool.get(key)
  if (item === undefined || !isItem(key, item.payload)) lost++
}
const sum = (of: (report: StressReport) => number): number => reports.reduce((all, report) => all + of(report), 0)
const { currentBytes, maxBytes } = pool.memoryBudgetStats()
console.log(
  JSON.stringify({
    lost,
    torn: torn + sum(({ torn }) => torn),
    retrievals: retrievals + sum(({ found }) => found),
    evicted,
    items,
    bytes: currentBytes / maxBytes,
    baseline: baseline / maxBytes,
    peak: peak / maxBytes
  })
)
await Promise.all(workers.map((worker) => worker.terminate()))
await pool.close()
await db.close()
