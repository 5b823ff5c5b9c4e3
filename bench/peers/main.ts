/**
 * Measures Sabine beside its peers: `npm run bench:peers -- [options]`.
 *
 * Every stage of every configuration runs in a process of its own, on the same files. See `--help`.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { kernels } from "../../src/core/native.ts"
import { dataset } from "../data.ts"
import { cpu, machineFolder } from "../record.ts"
import { needsOf, peers } from "./catalogue.ts"
import { codeFiles, vectorFiles } from "./data-files.ts"
import { install, pythonOf } from "./install.ts"
import type { Configuration } from "./peer.ts"
import { plot } from "./plot.ts"
import { recordText } from "./record-text.ts"
import { NONE, type Results, readResults, withAbsent, withMeasured, writeResults } from "./results.ts"
import { type Effort, listed, measurer, type Sites } from "./run.ts"
import { tables } from "./table.ts"

const HELP = `npm run bench:peers -- [options]

  --data <folder>     vectors and queries (base.100000x384.f16, queries-*.f16, truth-*.i32); without it, WordNet's
                      glosses through the offline embedder
  --rows <n>          only the first n vectors
  --codes <n>         codes of the Hamming task, 1000000 by default
  --only <a,b>        only these peers: ${peers.join(", ")}
  --task <name>       only this task: approximate, codes, exact or hamming
  --match <text>      only configurations whose name contains the text
  --rounds <n>        times that everything is measured, 3 by default; the best of them counts, 0 only builds
  --build-threads <n> threads that indexes are built with, where a peer can be told; 1 by default
  --keep              adds to the results of earlier runs on the same data instead of starting over
  --record            writes the record of this machine and the drawing
  --quick             few and short measurements, to see that everything runs
  --work <folder>     where data, indexes and the virtual environment are kept`

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    rows: { type: "string" },
    codes: { type: "string" },
    only: { type: "string" },
    task: { type: "string" },
    match: { type: "string", default: "" },
    rounds: { type: "string" },
    "build-threads": { type: "string", default: "1" },
    keep: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    work: { type: "string", default: join(import.meta.dirname, "work") },
    help: { type: "boolean", default: false }
  }
})

const whole = (name: string, text: string, least = 1): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`--${name}: wanted a whole number from ${least}, got ${text}`)
}

const QUICK = { turnMs: 20, opens: 1, rounds: "1", codes: "2000" }
const USUAL = { turnMs: 250, opens: 3, rounds: "3", codes: "1000000" }

const measure = async (): Promise<void> => {
  const usual = flags.quick ? QUICK : USUAL
  const effort: Effort = { ...usual, buildThreads: whole("build-threads", flags["build-threads"]) }
  const rounds = whole("rounds", flags.rounds ?? usual.rounds, 0)
  const wanted = flags.only?.split(",") ?? peers
  const work = resolve(flags.work)
  mkdirSync(work, { recursive: true })
  const failures = install(new Set(wanted.map(needsOf)), work)
  const place = { python: pythonOf(work) }
  const sites = await sitesIn(work)
  const path = join(sites.approximate.indexes, "..", "results.json")
  if (!flags.keep) writeResults(path, NONE)
  /** What is there is read each time: another run may have added to it. */
  const put = (change: (results: Results) => Results): void => writeResults(path, change(readResults(path)))

  const job =
    (peer: string, configuration: Configuration, run: ReturnType<typeof measurer>) =>
    async (searching: boolean): Promise<void> => {
      console.error(`${peer}, ${configuration.name}`)
      try {
        const measured = await run(configuration, searching)
        put((results) => withMeasured(results, measured))
      } catch (error) {
        console.error(`  ${messageOf(error)}`)
        put((results) => withAbsent(results, { peer, configuration: configuration.name, reason: messageOf(error) }))
      }
    }

  const jobs: Array<(searching: boolean) => Promise<void>> = []
  for (const peer of wanted) {
    const failure = failures.get(needsOf(peer))
    try {
      const { version, configurations } = await listed(place, peer)
      const run = measurer(place, peer, version, sites, effort)
      const chosen = configurations.filter(
        ({ name, task }) => name.includes(flags.match) && (flags.task ?? task) === task
      )
      jobs.push(...chosen.map((configuration) => job(peer, configuration, run)))
    } catch (error) {
      put((results) => withAbsent(results, { peer, reason: failure ?? messageOf(error) }))
      console.error(`${peer}: absent: ${failure ?? messageOf(error)}`)
    }
  }

  // Round after round, so that whatever else the machine does meets all of them.
  for (let round = 0; round < Math.max(rounds, 1); round++) for (const one of jobs) await one(rounds > 0)
  const results = ordered(readResults(path))
  console.log(tables(results))
  report(results, work)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const sitesIn = async (work: string): Promise<Sites> => {
  const data = await dataset(flags.data, flags.rows === undefined ? undefined : whole("rows", flags.rows))
  const files = vectorFiles(work, data)
  const usual = flags.quick ? QUICK : USUAL
  const codeRows = whole("codes", flags.codes ?? usual.codes)
  const codes = codeFiles(work, codeRows)
  const vectors = { data: files, indexes: join(files, "..", "indexes"), rows: data.rows, width: data.dimensions }
  return {
    approximate: vectors,
    codes: vectors,
    exact: vectors,
    hamming: { data: codes, indexes: join(codes, "..", "indexes"), rows: codeRows, width: CODE_BYTES }
  }
}

const CODE_BYTES = 32

/** In the order of the catalogue, whichever was measured first. */
const ordered = ({ measured, absent }: Results): Results => ({
  measured: [...measured].sort((a, b) => peers.indexOf(a.peer) - peers.indexOf(b.peer)),
  absent
})

const report = (results: Results, work: string): void => {
  const drawing = plot(results.measured, cpu)
  const folder = flags.record ? import.meta.dirname : work
  if (drawing !== undefined) writeFileSync(join(folder, "recall-latency.svg"), drawing)
  if (!flags.record) return
  const date = new Date().toISOString().slice(0, 10)
  const machine = { cpu, isa: kernels.isas()[0] ?? "scalar", node: process.version, date }
  mkdirSync(machineFolder, { recursive: true })
  writeFileSync(join(machineFolder, `peers-${date}.json`), recordText(machine, results))
}

if (flags.help) console.log(HELP)
else await measure()
