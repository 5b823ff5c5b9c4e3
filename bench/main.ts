/**
 * Runs benches: `npm run bench -- <name> [--json] [--record] [--data folder] [--rows n]...`.
 * Without a name it lists them; `all` runs each in a process of its own.
 */
import { spawn } from "node:child_process"
import { readdir } from "node:fs/promises"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { fallback } from "../src/core/native.ts"
import { type Figure, figureOf, tableLine } from "./figure.ts"
import { record } from "./record.ts"
import type { Bench, Setting } from "./setting.ts"

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
    data: { type: "string" },
    rows: { type: "string", multiple: true, default: [] }
  }
})

const SUFFIX = ".bench.ts"
const names = (await readdir(import.meta.dirname))
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort()

const load = (name: string): Promise<Bench> => import(`./${name}${SUFFIX}`)

/** `--rows 1000 2000` as well as `--rows 1000 --rows 2000`: further numbers are row counts too. */
const rowCount = (text: string): number => {
  const rows = Number(text)
  if (Number.isInteger(rows) && rows > 0) return rows
  throw new Error(`--rows: wanted whole numbers above 0, got ${text}`)
}
const isNumber = (text: string): boolean => /^\d+$/.test(text)
const setting: Setting = { data: flags.data, rows: [...flags.rows, ...positionals.filter(isNumber)].map(rowCount) }

/** Prints the figures of one bench as they come. */
const runHere = async (name: string): Promise<ReadonlyArray<Figure>> => {
  const { about, figures } = await load(name)
  if (!flags.json) console.log(`\n${name}: ${about}${fallback === undefined ? "" : `\n  (${fallback})`}`)
  const found: Array<Figure> = []
  for await (const measured of figures(setting)) {
    const figure = figureOf(name, measured)
    found.push(figure)
    console.log(flags.json ? JSON.stringify(figure) : tableLine(figure, measured.target))
  }
  return found
}

/** Runs one bench in a fresh process: no bench sees memory or compiled code of another. */
const runApart = async (name: string): Promise<void> => {
  const child = spawn(
    process.execPath,
    [import.meta.filename, name, ...process.argv.slice(2).filter((arg) => arg !== "all")],
    {
      stdio: ["ignore", "pipe", "inherit"]
    }
  )
  for await (const line of createInterface({ input: child.stdout })) console.log(line)
  if (child.exitCode !== 0) process.exitCode = 1
}

const [wanted] = positionals.filter((text) => !isNumber(text))
if (wanted === undefined) {
  for (const name of names) console.log(`${name.padEnd(12)} ${(await load(name)).about}`)
} else if (wanted === "all") {
  for (const name of names) await runApart(name)
} else if (names.includes(wanted)) {
  const figures = await runHere(wanted)
  if (flags.record) await record(wanted, figures)
} else {
  console.error(`no bench is called ${wanted}: there are ${names.join(", ")}`)
  process.exitCode = 1
}
