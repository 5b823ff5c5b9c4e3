/** The results as tables of Markdown. */
import { costAt, type Priced } from "./frontier.ts"
import type { Point } from "./job.ts"
import type { Task } from "./peer.ts"
import type { Measured, Results } from "./results.ts"

/** Recall that the table gives costs at. */
const LEVELS = [0.95, 0.99]

const NONE = "–"
const digits = (value: number): string => Number(value.toPrecision(3)).toLocaleString("en-US")
const cell = (value: number | undefined | null): string => (value == null ? NONE : digits(value))
const micros = (value: number | undefined): string => cell(value)
const megabytes = (bytes: number | undefined): string => cell(bytes === undefined ? undefined : bytes / 1e6)

const lines = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  [header, header.map((_, i) => (i < 2 ? "---" : "---:")), ...rows].map((cells) => `| ${cells.join(" | ")} |`)

type Figures = Omit<Point, "stage">

/** Points of one set of queries, priced by one of their figures. */
const priced = (points: ReadonlyArray<Figures>, queries: string, cost: (point: Figures) => number | null) =>
  points
    .filter((point) => point.queries === queries && point.recall !== null)
    .flatMap((point): ReadonlyArray<Priced> => {
      const value = cost(point)
      return value === null ? [] : [{ recall: point.recall!, cost: value }]
    })

/** Microseconds at the middle of single queries, at a recall. */
const latencyAt = ({ points }: Pick<Measured, "points">, queries: string, recall: number): number | undefined =>
  costAt(
    priced(points, queries, ({ p50 }) => p50),
    recall
  )

/** Queries a second at a recall. */
const rateAt = (
  { points }: Pick<Measured, "points">,
  queries: string,
  recall: number,
  threads: 1 | 2
): number | undefined => {
  const seconds = costAt(
    priced(points, queries, ({ qps1, qps2 }) => {
      const rate = threads === 1 ? qps1 : qps2
      return rate === null ? null : 1 / rate
    }),
    recall
  )
  return seconds === undefined ? undefined : 1 / seconds
}

export const querySets = (measured: ReadonlyArray<Measured>): ReadonlyArray<string> => [
  ...new Set(measured.flatMap(({ points }) => points.map(({ queries }) => queries)))
]

const ofTask = ({ measured }: Results, task: Task): ReadonlyArray<Measured> =>
  measured.filter(({ configuration }) => configuration.task === task)

const named = ({ peer, version, configuration }: Measured): ReadonlyArray<string> => [
  `${peer} ${version}`,
  configuration.name
]

const builtCell = ({ built }: Measured): string =>
  built === undefined || built.threads === 0
    ? NONE
    : `${digits(built.seconds)} (${digits(built.cpuSeconds)}, ${built.threads})`

const stored = (one: Measured): ReadonlyArray<string> => [
  builtCell(one),
  cell(one.openMs),
  megabytes(one.bytesOnDisk),
  megabytes(one.residentBytes)
]

const STORED = ["build s (cpu, threads)", "open + first answer ms", "disk MB", "memory MB"]

const approximate = (results: Results): ReadonlyArray<string> => {
  const found = ofTask(results, "approximate")
  if (found.length === 0) return []
  const sets = querySets(found)
  const head = (name: string) => LEVELS.map((level) => `${name} at ${level}`)
  const rows = found.map((one) => [
    ...named(one),
    one.points.length === 0 ? NONE : Math.max(...one.points.map(({ recall }) => recall ?? 0)).toFixed(3),
    ...sets.flatMap((set) => LEVELS.map((level) => micros(latencyAt(one, set, level)))),
    ...sets.map((set) =>
      micros(
        costAt(
          priced(one.points, set, ({ p99 }) => p99),
          LEVELS.at(-1)!
        )
      )
    ),
    ...sets.flatMap((set) =>
      LEVELS.map((level) => `${cell(rateAt(one, set, level, 1))} / ${cell(rateAt(one, set, level, 2))}`)
    ),
    ...stored(one)
  ])
  const header = [
    "peer",
    "configuration",
    "best recall@10",
    ...sets.flatMap((set) => head(`p50 us, ${set},`)),
    ...sets.map((set) => `p99 us, ${set}, at ${LEVELS.at(-1)}`),
    ...sets.flatMap((set) => head(`queries/s at 1 / 2 threads, ${set},`)),
    ...STORED
  ]
  return ["", `Approximate, ${sizeOf(found)}: cost of a recall@10`, "", ...lines(header, rows)]
}

const codes = (results: Results): ReadonlyArray<string> => {
  const found = ofTask(results, "codes")
  if (found.length === 0) return []
  const sets = querySets(found)
  const rows = found.map((one) => {
    const pointOf = (set: string) => one.points.find(({ queries }) => queries === set)
    return [
      ...named(one),
      ...sets.map((set) => pointOf(set)?.recall?.toFixed(3) ?? NONE),
      ...sets.map((set) => micros(pointOf(set)?.p50)),
      ...stored(one)
    ]
  })
  const header = [
    "peer",
    "configuration",
    ...sets.map((set) => `recall@10, ${set}`),
    ...sets.map((set) => `p50 us, ${set}`),
    ...STORED
  ]
  return ["", `Product codes alone, without vectors, ${sizeOf(found)}`, "", ...lines(header, rows)]
}

const sizeOf = ([first]: ReadonlyArray<Measured>): string =>
  first === undefined ? "" : `${first.rows} x ${first.width * (first.configuration.task === "hamming" ? 8 : 1)}`

const whole = (results: Results, task: Task, title: string): ReadonlyArray<string> => {
  const found = ofTask(results, task)
  if (found.length === 0) return []
  const pointsOf = ({ points }: Measured) => points.filter(({ queries }) => queries === points[0]?.queries)
  const p50 = (one: Measured) => Math.min(...pointsOf(one).map((point) => point.p50))
  const floor = found.find(({ configuration }) => configuration.note === FLOOR)
  const rows = [...found]
    .sort((a, b) => p50(a) - p50(b))
    .map((one) => [
      ...named(one),
      cell(p50(one) / 1000),
      cell(Math.min(...pointsOf(one).map((point) => point.p99)) / 1000),
      floor === undefined ? NONE : digits(p50(one) / p50(floor)),
      cell(pointsOf(one)[0]?.recall),
      ...stored(one)
    ])
  const header = ["peer", "configuration", "p50 ms", "p99 ms", "times the floor", "recall@10", ...STORED]
  return ["", `${title}, ${sizeOf(found)}`, "", ...lines(header, rows)]
}

/** The note of the configuration that only reads memory. */
const FLOOR = "the floor"

const notes = ({ measured, absent }: Results): ReadonlyArray<string> => {
  const told = measured.filter(({ configuration }) => configuration.note !== undefined)
  return [
    ...(told.length > 0 ? [""] : []),
    ...told.map(({ peer, configuration }) => `- ${peer}, ${configuration.name}: ${configuration.note}`),
    ...(absent.length > 0 ? [""] : []),
    ...absent.map(
      ({ peer, configuration, reason }) => `- absent: ${peer}${configuration ? `, ${configuration}` : ""}: ${reason}`
    )
  ]
}

export const tables = (results: Results): string =>
  [
    ...approximate(results),
    ...codes(results),
    ...whole(results, "exact", "Exact f32, one thread"),
    ...whole(results, "hamming", "Hamming top-10 over bits, one thread"),
    ...notes(results)
  ].join("\n")
