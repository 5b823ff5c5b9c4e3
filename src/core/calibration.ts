/**
 * What settings of a search find, and what they cost: measured once on stored vectors, asked for every plan after it.
 */
import type { SearchPlan } from "./kernels/contract.ts"
import { MODE } from "./kernels/shape.ts"

/** One way to search, with what it was measured to find. */
export interface Setting {
  readonly mode: number
  /** Most lists that a query visits. */
  readonly nprobe: number
  /** How far below the best rank that of a visited list may be; absent where no lists are visited. */
  readonly margin?: number
  readonly rerank: number
  /** Nearest rows that a walk keeps; absent where nothing is walked. */
  readonly efSearch?: number
  /** Mean share of the exact `k` nearest that is found. */
  readonly recall: number
  /** Standard error of that mean over the sampled queries. */
  readonly error: number
  /** Microseconds a query of work on one thread. */
  readonly us: number
}

/** Settings for one number of hits: each finds more than those before it, and costs more. */
export interface Curve {
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
  /** Rows that went to other lists since, when some were split or merged; absent for none. */
  readonly moved?: number | undefined
  /** Vectors written since, of entries that were added or updated; absent for none. */
  readonly written?: number | undefined
  /**
   * The same for walks of the graph, apart because not every search may walk; none where too few rows could serve as
   * queries, absent where there was no graph of all rows.
   */
  readonly walks?: ReadonlyArray<Curve> | undefined
}

/** Modes that settings of scans are of. */
const SCANNED_MODES: ReadonlyArray<number> = [MODE.flat, MODE.ivf, MODE.pq]

/** Deepest settings: what an option may ask for. */
const MOST_RERANK = 16_384
/** Most that a walk keeps: what an option may ask for. */
const MOST_KEPT = 4096
/** Most lists that are visited. */
const MOST_PROBED = 2 ** 20

/** What of a plan a level of recall decides. */
export type Chosen = Pick<SearchPlan, "mode" | "nprobe" | "margin" | "rerank" | "efSearch">

/**
 * Misses that a setting may have been measured to make, relative to those allowed: queries lie a little farther from
 * what is stored than stored vectors do from one another.
 */
const CAUTION = 0.75

/** The cheapest setting that finds `wanted` of the nearest `keep`; undefined when only an exact search does. */
export const settingFor = (
  { queries, curves, walks }: Calibration,
  keep: number,
  wanted: number,
  mayWalk = false
): Chosen | undefined => {
  const curve = curves.find(({ k }) => k >= keep) ?? curves.at(-1)
  const reaches = ({ recall, error }: Setting) => 1 - recall + error <= CAUTION * (1 - wanted)
  // Beyond the last curve more lists would be needed as well, and nobody measured how many.
  const isMeasured = ({ mode }: Setting) => keep <= (curve?.k ?? 0) || mode !== MODE.ivf
  const scanned = curve?.settings.find((setting) => isMeasured(setting) && reaches(setting))
  // A walk that goes astray finds nothing: fewer misses than those of one query no sample tells from none.
  const isTold = CAUTION * (1 - wanted) * queries >= 1
  const walked = mayWalk && isTold ? curveOf(walks, keep)?.settings.find(reaches) : undefined
  if (walked !== undefined && !(scanned !== undefined && scanned.us <= walked.us)) return chosen(walked, keep)
  if (curve === undefined || scanned === undefined) return undefined
  // Depth grows with the hits wanted beyond the curve.
  const rerank = Math.min(MOST_RERANK, Math.ceil(scanned.rerank * Math.max(1, keep / curve.k)))
  return chosen({ ...scanned, rerank }, keep)
}

/** Least share of the nearest that is worth finding: where no setting was measured to find as many, all are scored. */
const LEAST_FOUND = 0.5

/**
 * The setting that was measured to find most of the nearest `keep`, short of an exact search; that, where codes tell so
 * little of the rows that most would be missed, or rows equal one another so often that nothing could be measured.
 */
export const bestSetting = ({ curves, walks }: Calibration, keep: number, mayWalk = false): Chosen | undefined => {
  const scanned = curveOf(curves, keep)?.settings.at(-1)
  const walked = mayWalk ? curveOf(walks, keep)?.settings.at(-1) : undefined
  const best = walked !== undefined && walked.recall > (scanned?.recall ?? 0) ? walked : scanned
  if (best !== undefined && best.recall < LEAST_FOUND) return { mode: MODE.exact, nprobe: 0, rerank: 0 }
  return best && chosen(best, keep)
}

const curveOf = (curves: ReadonlyArray<Curve> | undefined, keep: number) => curves?.find(({ k }) => k >= keep)

const chosen = ({ mode, nprobe, margin, rerank, efSearch }: Setting, keep: number): Chosen => ({
  mode,
  nprobe,
  ...(margin !== undefined && { margin }),
  rerank: Math.max(rerank, keep),
  ...(efSearch !== undefined && { efSearch })
})

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
  const { rows, queries, curves, moved = 0, written = 0, walks } = (value ?? {}) as Record<string, unknown>
  const isSetting = ({ nprobe, margin, rerank, recall, error, us }: Record<string, unknown>) =>
    isWithin(nprobe, 0, MOST_PROBED) &&
    (margin === undefined || (Number.isFinite(margin) && Number(margin) >= 0)) &&
    isWithin(rerank, 1, MOST_RERANK) &&
    [recall, error, us].every((number) => Number.isFinite(number))
  const isScan = (setting: Record<string, unknown>) =>
    SCANNED_MODES.some((known) => known === setting["mode"]) &&
    (setting["mode"] !== MODE.ivf || setting["nprobe"] !== 0) &&
    isSetting(setting)
  const isWalk = (setting: Record<string, unknown>) =>
    setting["mode"] === MODE.hnsw && isWithin(setting["efSearch"], 1, MOST_KEPT) && isSetting(setting)
  const areCurves = (value: unknown, holds: typeof isSetting) =>
    isList(value, ({ k, settings }) => isWithin(k, 1, MOST_RERANK) && isList(settings, holds))
  return (
    [rows, queries, moved, written].every((count) => Number.isSafeInteger(count)) &&
    areCurves(curves, isScan) &&
    (walks === undefined || areCurves(walks, isWalk))
  )
}
