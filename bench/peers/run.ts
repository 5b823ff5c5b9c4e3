/** Measures one configuration of a peer: builds its index where there is none to use, opens it, searches it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { median } from "../timing.ts"
import type { BuildFigures, Line, Listed } from "./job.ts"
import type { Configuration, Task } from "./peer.ts"
import { type Place, runJob } from "./processes.ts"
import type { Measured } from "./results.ts"

/** How much is measured. */
export interface Effort {
  /** Milliseconds that one figure is measured for. */
  readonly turnMs: number
  /** Processes that open an index; the median counts. */
  readonly opens: number
  readonly buildThreads: number
}

/** Data of one task, and the indexes made of it. */
interface Site {
  /** What `data-files.ts` wrote. */
  readonly data: string
  readonly indexes: string
  readonly rows: number
  readonly width: number
}

export type Sites = Readonly<Record<Task, Site>>

/** Indexes that are built sooner are built each round anew, as their time is a figure too; the others are kept. */
const KEPT_SECONDS = 30

const slugOf = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]+/g, "-")

const isStage =
  <S extends Line["stage"]>(stage: S) =>
  (line: Line): line is Extract<Line, { readonly stage: S }> =>
    line.stage === stage

const bytesIn = (path: string): number =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
    : statSync(path).size

/** What a peer offers; fails when it cannot be loaded. */
export const listed = async (place: Place, peer: string): Promise<Listed> => {
  const line = (await runJob(place, peer, { stage: "list" })).find(isStage("list"))
  if (line === undefined) throw new Error("listed no configurations")
  return line
}

/** Measures configurations of one peer; an index built by this run is not built twice. */
export const measurer = (place: Place, peer: string, version: string, sites: Sites, effort: Effort) => {
  const builtNow = new Set<string>()

  /** The index of a configuration, with what it took to build it whenever that was. */
  const indexOf = async (
    configuration: Configuration
  ): Promise<{ folder: string; built: Omit<BuildFigures, "stage"> }> => {
    const { data, indexes } = sites[configuration.task]
    const folder = join(indexes, peer, slugOf(configuration.index ?? configuration.name))
    const note = `${folder}.json`
    const before: { version: string; built: Omit<BuildFigures, "stage"> } | undefined = existsSync(note)
      ? JSON.parse(readFileSync(note, "utf8"))
      : undefined
    const isKept = before?.version === version && (builtNow.has(folder) || before.built.seconds >= KEPT_SECONDS)
    if (before !== undefined && isKept) return { folder, built: before.built }
    rmSync(note, { force: true })
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const job = { stage: "build", configuration, data, index: folder, threads: effort.buildThreads } as const
    const line = (await runJob(place, peer, job)).find(isStage("build"))
    if (line === undefined) throw new Error("built nothing")
    const { stage, ...built } = line
    writeFileSync(note, JSON.stringify({ version, built }))
    builtNow.add(folder)
    return { folder, built }
  }

  /** Without `searching` only the index is built. */
  return async (configuration: Configuration, searching: boolean): Promise<Measured> => {
    const { data, rows, width } = sites[configuration.task]
    const { folder, built } = await indexOf(configuration)
    const { settings, ...named } = configuration
    const measured = {
      peer,
      version,
      configuration: named,
      rows,
      width,
      built,
      bytesOnDisk: bytesIn(folder),
      points: []
    }
    if (!searching) return measured
    const job = { configuration, data, index: folder, turnMs: effort.turnMs }
    const opens: Array<number> = []
    for (let i = 0; i < effort.opens; i++) {
      const lines = await runJob(place, peer, { stage: "open", ...job })
      opens.push(...lines.filter(isStage("open")).map(({ ms }) => ms))
    }
    const openMs = median(opens)
    if (configuration.opensOnly) return { ...measured, openMs }
    const lines = await runJob(place, peer, { stage: "search", ...job })
    return {
      ...measured,
      openMs,
      residentBytes: lines.find(isStage("memory"))?.residentBytes,
      points: lines.filter(isStage("search")).map(({ stage, ...point }) => point)
    }
  }
}
