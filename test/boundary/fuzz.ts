/**
 * Calls every function of the addon with hostile arguments, in a process of its own: a crash, a panic, a call that does
 * not return and an error without a name are failures.
 *
 *   npm run fuzz:native -- --cases 1000000 [--seed 7] [--only search,matmul] [--patience 30]
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const CASES = fileURLToPath(new URL("cases.ts", import.meta.url))
const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "50000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    only: { type: "string", default: "" },
    /** Seconds: a case that has not ended after two looks so far apart hangs. */
    patience: { type: "string", default: "30" }
  }
})

const folder = await mkdtemp(join(tmpdir(), "sabine-boundary-"))
const trace = join(folder, "case")
const child = spawn(process.execPath, [CASES, trace, values.cases, values.seed, values.only], {
  stdio: ["ignore", "pipe", "pipe"]
})
let [stdout, stderr, last] = ["", "", ""]
child.stdout.setEncoding("utf8").on("data", (text: string) => {
  stdout += text
})
child.stderr.setEncoding("utf8").on("data", (text: string) => {
  stderr += text
})
let hangs = false
const look = setInterval(async () => {
  const now = await readFile(trace, "utf8").catch(() => "")
  hangs = now !== "" && now === last
  last = now
  if (hangs) child.kill("SIGKILL")
}, 1000 * Number(values.patience))
const start = performance.now()
const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
  child.once("close", (...ended) => resolve(ended))
})
clearInterval(look)
const seconds = ((performance.now() - start) / 1000).toFixed(1)
const isWhole = code === 0 && !/panicked|AddressSanitizer/.test(stderr) && stdout !== ""
if (isWhole) {
  const tallies: Readonly<Record<string, Readonly<Record<string, number>>>> = JSON.parse(stdout)
  const sum = (key: string) => Object.values(tallies).reduce((total, tally) => total + (tally[key] ?? 0), 0)
  for (const [name, { cases, returned, refused, slowestMs }] of Object.entries(tallies)) {
    console.log(
      `${name}: ${cases} cases, ${returned} returned, ${refused} refused, slowest ${slowestMs?.toFixed(1)} ms`
    )
  }
  console.log(`${sum("cases")} cases, ${sum("returned")} returned, ${sum("refused")} refused, 0 crashes, ${seconds} s`)
} else {
  const last = await readFile(trace, "utf8").catch(() => "none")
  console.error(stderr.slice(-20_000))
  console.error(`${hangs ? "hangs" : `ended with ${signal ?? code}`} after ${seconds} s, seed ${values.seed}`)
  console.error(`the last case: ${last.trim()}`)
  process.exitCode = 1
}
await rm(folder, { recursive: true })
