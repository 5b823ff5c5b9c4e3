/** Everything that was measured of the peers on one set of data, and how repeated measurements are put together. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import type { BuildFigures, Point } from "./job.ts"
import type { Configuration, Setting } from "./peer.ts"

/** A configuration of a peer with its figures; those that were not measured are undefined. */
export interface Measured {
  readonly peer: string
  readonly version: string
  readonly configuration: Omit<Configuration, "settings">
  readonly rows: number
  readonly width: number
  readonly built?: Omit<BuildFigures, "stage"> | undefined
  readonly bytesOnDisk?: number | undefined
  readonly openMs?: number | undefined
  readonly residentBytes?: number | undefined
  readonly points: ReadonlyArray<Omit<Point, "stage">>
}

/** A peer, or one of its configurations, that could not be measured. */
interface Absent {
  readonly peer: string
  readonly configuration?: string | undefined
  readonly reason: string
}

export interface Results {
  readonly measured: ReadonlyArray<Measured>
  readonly absent: ReadonlyArray<Absent>
}

export const NONE: Results = { measured: [], absent: [] }

export const readResults = (path: string): Results => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : NONE)

export const writeResults = (path: string, results: Results): void => writeFileSync(path, JSON.stringify(results))

const isSame = (a: Absent, b: Absent): boolean => a.peer === b.peer && a.configuration === b.configuration

const identity = ({ peer, configuration }: Measured): Absent => ({
  peer,
  configuration: configuration.name,
  reason: ""
})

export const withAbsent = ({ measured, absent }: Results, peer: Absent): Results => ({
  measured: measured.filter(
    (one) => !(peer.configuration === undefined ? one.peer === peer.peer : isSame(identity(one), peer))
  ),
  absent: [...absent.filter((one) => !isSame(one, peer)), peer]
})

/** Adds a measurement; one of the same configuration is put together with it. */
export const withMeasured = ({ measured, absent }: Results, found: Measured): Results => {
  const before = measured.find((one) => isSame(identity(one), identity(found)))
  const others = measured.filter((one) => one !== before)
  return {
    measured: [...others, before === undefined ? found : together(before, found)],
    absent: absent.filter(
      (one) => one.peer !== found.peer || (one.configuration ?? found.configuration.name) !== found.configuration.name
    )
  }
}

const keyOf = (setting: Setting, queries: string): string => JSON.stringify([setting, queries])

/**
 * The better of two measurements, figure by figure: whatever else the machine does only ever makes a figure worse.
 * Points of other settings than the newer measurement's are dropped.
 */
const together = (before: Measured, found: Measured): Measured => {
  const old = new Map(before.points.map((point) => [keyOf(point.setting, point.queries), point]))
  return {
    ...found,
    built: quicker(before.built, found.built),
    openMs: least(before.openMs, found.openMs),
    residentBytes: found.residentBytes ?? before.residentBytes,
    points:
      found.points.length === 0
        ? before.points
        : found.points.map((point) => {
            const other = old.get(keyOf(point.setting, point.queries))
            if (other === undefined || other.recall !== point.recall) return point
            return {
              ...point,
              p50: Math.min(point.p50, other.p50),
              p99: Math.min(point.p99, other.p99),
              qps1: most(point.qps1, other.qps1),
              qps2: most(point.qps2, other.qps2)
            }
          })
  }
}

const quicker = (a: Measured["built"], b: Measured["built"]): Measured["built"] =>
  a === undefined || b === undefined || a.threads !== b.threads ? (b ?? a) : a.seconds < b.seconds ? a : b

const least = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

const most = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b)
