/**
 * What settings of a search find, and what they cost: measured once on stored vectors, asked for every plan after it.
 */
import type { SearchPlan } from "./kernels/contract.ts"
import { MODE } from "./kernels/shape.ts"

/** One way to search, with what it was measured to find. */
export interface Setting {
  readonly mode: number
  readonly nprobe: number
  readonly rerank: number
  /** Mean share of the exact `k` nearest that is found. */
  readonly recall: number
  /** Standard error of that mean over the sampled queries. */
  readonly error: number
  /** Microseconds a query of work on one thread. */
  readonly us: number
}

/** Settings for one number of hits: each finds more than those before it, and costs more. */
interface Curve {
  readonly k: number
  readonly settings: ReadonlyArray<Setting>
}

export interface Calibration {
  /** Live rows when it was measured. */
  readonly rows: number
  /** Stored vectors that served as queries. */
  readonly queries: number
  /** By growing `k`. */
  readonly curves: ReadonlyArray<Curve>
}

/** Modes that settings are of. */
const CALIBRATED_MODES: ReadonlyArray<number> = [MODE.flat, MODE.ivf, MODE.pq]

/** Deepest settings: what an option may ask for. */
const MOST_RERANK = 16_384
/** Most lists that are visited. */
const MOST_PROBED = 2 ** 20

/** What of a plan a level of recall decides. */
export type Chosen = Pick<SearchPlan, "mode" | "nprobe" | "rerank">

/**
 * Misses that a setting may have been measured to make, relative to those allowed: queries lie a little farther from
 * what is stored than stored vectors do from one another.
 */
const CAUTION = 0.75

/** The cheapest setting that finds `wanted` of the nearest `keep`; undefined when only an exact search does. */
export const settingFor = ({ curves }: Calibration, keep: number, wanted: number): Chosen | undefined => {
  const curve = curves.find(({ k }) => k >= keep) ?? curves.at(-1)
  // Beyond the last curve more lists would be needed as well, and nobody measured how many.
  const isMeasured = ({ mode }: Setting) => keep <= (curve?.k ?? 0) || mode !== MODE.ivf
  const found = curve?.settings.find(
    (setting) => isMeasured(setting) && 1 - setting.recall + setting.error <= CAUTION * (1 - wanted)
  )
  if (curve === undefined || found === undefined) return undefined
  // Depth grows with the hits wanted beyond the curve.
  const rerank = Math.min(MOST_RERANK, Math.ceil(found.rerank * Math.max(1, keep / curve.k)))
  return { mode: found.mode, nprobe: found.nprobe, rerank: Math.max(rerank, keep) }
}

/** The setting that was measured to find most of the nearest `keep`, short of an exact search. */
export const bestSetting = ({ curves }: Calibration, keep: number): Chosen | undefined => {
  const best = curves.find(({ k }) => k >= keep)?.settings.at(-1)
  return best && { mode: best.mode, nprobe: best.nprobe, rerank: Math.max(best.rerank, keep) }
}

/** The settings that no other beats: in order of cost, each with more recall than all cheaper ones. */
export const frontier = (settings: ReadonlyArray<Setting>): ReadonlyArray<Setting> => {
  let most = -1
  return [...settings]
    .sort((a, b) => a.us - b.us || b.recall - a.recall)
    .filter(({ recall }) => {
      const better = recall > most
      if (better) most = recall
      return better
    })
}

const isWithin = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && Number(value) >= least && Number(value) <= most

const isList = (value: unknown, holds: (item: Record<string, unknown>) => boolean): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === "object" && item !== null && holds(item))

/** Whether a value from a file is a calibration whose settings every search can run. */
export const isCalibration = (value: unknown): value is Calibration => {
  const { rows, queries, curves } = (value ?? {}) as Record<string, unknown>
  const isSetting = ({ mode, nprobe, rerank, recall, error, us }: Record<string, unknown>) =>
    CALIBRATED_MODES.some((known) => known === mode) &&
    isWithin(nprobe, mode === MODE.ivf ? 1 : 0, MOST_PROBED) &&
    isWithin(rerank, 1, MOST_RERANK) &&
    [recall, error, us].every((number) => Number.isFinite(number))
  return (
    [rows, queries].every((count) => Number.isSafeInteger(count)) &&
    isList(curves, ({ k, settings }) => isWithin(k, 1, MOST_RERANK) && isList(settings, isSetting))
  )
}
