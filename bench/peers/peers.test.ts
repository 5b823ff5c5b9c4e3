/** The harness from end to end with the two peers that need no installation, and the arithmetic of its tables. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { normalise } from "../../src/core/kernels/norm.ts"
import { randomVectors } from "../stores.ts"
import { costAt, frontier } from "./frontier.ts"
import { codeScanner, hamming } from "./hamming.ts"
import { runJob } from "./processes.ts"
import { type Measured, NONE, type Results, readResults, withAbsent, withMeasured } from "./results.ts"

const run = promisify(execFile)

const DIMENSIONS = 32
const ROWS = 2000
const QUERIES = 40

const unitVectors = (rows: number): Float32Array => {
  const { base } = randomVectors(rows, DIMENSIONS)
  for (let row = 0; row < rows; row++) normalise(base, row * DIMENSIONS, DIMENSIONS)
  return base
}

test("a quick run of sabine and plain-js fills the tables and draws", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-peers-"))
  t.after(() => rm(folder, { recursive: true }))
  const vectors = unitVectors(ROWS + QUERIES)
  await writeFile(join(folder, `base.${ROWS}x${DIMENSIONS}.f32`), vectors.subarray(0, ROWS * DIMENSIONS))
  await writeFile(join(folder, `queries-in.${QUERIES}x${DIMENSIONS}.f32`), vectors.subarray(ROWS * DIMENSIONS))
  const work = join(folder, "work")
  const args = ["--quick", "--only", "sabine,plain-js", "--data", folder, "--work", work]
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, "main.ts"), ...args])

  const [path = ""] = globSync("vectors-*/results.json", { cwd: work })
  const { measured, absent } = readResults(join(work, path))
  assert.deepEqual(absent, [])
  for (const { peer, configuration } of measured) {
    assert.match(stdout, new RegExp(`^\\| ${peer} [^|]*\\| ${configuration.name} \\|`, "m"))
  }
  const tasks = (peer: string) =>
    measured.filter((one) => one.peer === peer).map(({ configuration }) => configuration.task)
  assert.deepEqual(new Set(tasks("sabine")), new Set(["approximate", "codes", "exact", "hamming"]))
  assert.deepEqual(new Set(tasks("plain-js")), new Set(["exact", "hamming"]))
  for (const { peer, configuration, points, openMs, built, bytesOnDisk } of measured) {
    assert.ok(openMs !== undefined && openMs > 0 && built !== undefined && bytesOnDisk !== undefined && bytesOnDisk > 0)
    for (const { recall, p50, p99, qps1, qps2 } of points) {
      assert.ok(p50 > 0 && p99 >= p50)
      if (configuration.task === "exact") assert.equal(recall, 1, peer)
      if (configuration.task === "codes") assert.ok(recall! > 0.1 && recall! < 1)
      if (configuration.task === "approximate") assert.ok(recall! > 0.3 && qps1! > 0 && qps2! > 0)
    }
  }
  const drawing = readFileSync(join(work, "recall-latency.svg"), "utf8")
  assert.match(drawing, /^<svg [\s\S]*sabine[\s\S]*<\/svg>\n$/)
})

test("a peer that cannot be loaded says why", async () => {
  await assert.rejects(runJob({ python: "none" }, "nobody", { stage: "list" }), /no peer is called nobody/)
  await assert.rejects(runJob({ python: "./no-such-python" }, "faiss", { stage: "list" }), /ENOENT/)
})

test("the cost of a recall lies between the settings about it", () => {
  const points = [
    { recall: 0.9, cost: 100 },
    { recall: 0.98, cost: 400 },
    { recall: 0.95, cost: 500 },
    { recall: 0.99, cost: 800 }
  ]
  assert.deepEqual(
    frontier(points).map(({ cost }) => cost),
    [100, 400, 800]
  )
  assert.equal(costAt(points, 0.5), 100, "the quickest setting recalls more already")
  assert.equal(costAt(points, 0.98), 400)
  assert.ok(Math.abs(costAt(points, 0.94)! - 200) < 1e-9, "half way in recall is half way in the logarithm")
  assert.equal(costAt(points, 0.995), undefined)
})

test("of repeated measurements the better counts, figure by figure", () => {
  const one = (p50: number, qps1: number, openMs: number): Measured => ({
    peer: "a",
    version: "1",
    configuration: { name: "c", task: "approximate" },
    rows: 1,
    width: 1,
    openMs,
    points: [{ setting: { ef: 1 }, queries: "in", recall: 1, p50, p99: p50, qps1, qps2: null }]
  })
  const results = withMeasured(withMeasured(NONE, one(5, 10, 2)), one(4, 9, 3))
  assert.equal(results.measured.length, 1)
  assert.deepEqual(results.measured[0]?.points, [{ ...one(4, 10, 2).points[0] }])
  assert.equal(results.measured[0]?.openMs, 2)
  const lost: Results = withAbsent(results, { peer: "a", reason: "gone" })
  assert.deepEqual([lost.measured.length, lost.absent.length], [0, 1])
  assert.deepEqual(withMeasured(lost, one(1, 1, 1)).absent, [], "what is measured is there")
})

test("codes are found by the bits they differ in, the older of equals first", () => {
  const values = new Uint8Array(32 * 4)
  values[0] = 0b111
  values[32] = 0b1
  values[64] = 0b10
  const base = { rows: 4, width: 32, values }
  assert.deepEqual([...codeScanner(base)(new Uint8Array(32), 4)], [3, 1, 2, 0])
  assert.equal(hamming(values.subarray(0, 32), values.subarray(32, 64)), 2)
})
