/** Figures kept in the repository, one file a machine and day: `record/<cpu>/<date>.json`. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { join } from "node:path"
import { kernels } from "../src/core/native.ts"
import type { Figure } from "./figure.ts"

/** What a machine measured on one day. */
interface BenchRecord {
  readonly cpu: string
  /** The best instruction set of the machine, in force unless a figure's case says otherwise. */
  readonly isa: string
  readonly node: string
  readonly date: string
  readonly figures: ReadonlyArray<Figure>
}

const FOLDER = join(import.meta.dirname, "record")
export const cpu = cpus()[0]?.model.trim() ?? "unknown"
const slug = cpu
  .toLowerCase()
  .replace(/[^a-z0-9]+/g, "-")
  .replace(/^-|-$/g, "")

/** Where the records of this machine are. */
export const machineFolder = join(FOLDER, slug)

const read = (path: string): BenchRecord => JSON.parse(readFileSync(path, "utf8"))

/** Writes the figures of a bench into today's record, in place of those it had there. */
export const record = async (bench: string, figures: ReadonlyArray<Figure>): Promise<void> => {
  const date = new Date().toISOString().slice(0, 10)
  const path = join(machineFolder, `${date}.json`)
  const others = existsSync(path) ? read(path).figures.filter((figure) => figure.bench !== bench) : []
  const isa = kernels.isas()[0] ?? "scalar"
  const whole: BenchRecord = { cpu, isa, node: process.version, date, figures: [...others, ...figures] }
  await mkdir(machineFolder, { recursive: true })
  await writeFile(path, textOf(whole))
}

/** One figure a line, so that a difference between two records reads as one. */
const textOf = ({ figures, ...machine }: BenchRecord): string => {
  const head = JSON.stringify(machine).slice(0, -1)
  return `${head},"figures":[\n${figures.map((figure) => JSON.stringify(figure)).join(",\n")}\n]}\n`
}

/** The newest figures of a bench on this instruction set, those of this processor before any other's. */
export const newest = (bench: string, isa: string): ReadonlyArray<Figure> | undefined =>
  // Those of the peers are called otherwise and hold something else.
  globSync("*/[0-9]*.json", { cwd: FOLDER })
    .map((path) => read(join(FOLDER, path)))
    .filter((found) => found.isa === isa && found.figures.some((figure) => figure.bench === bench))
    .sort((a, b) => Number(b.cpu === cpu) - Number(a.cpu === cpu) || b.date.localeCompare(a.date))[0]
    ?.figures.filter((figure) => figure.bench === bench)
