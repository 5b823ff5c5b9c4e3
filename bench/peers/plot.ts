/** Recall against latency as an SVG: one panel for each set of queries, one line for each configuration. */
import { frontier } from "./frontier.ts"
import type { Measured } from "./results.ts"
import { querySets } from "./table.ts"

const PANEL = { width: 520, height: 400, left: 64, right: 18, top: 46, bottom: 52 }
const LEGEND_ROW = 20
const LEGEND_COLUMNS = 3
const FONT = "font-family='system-ui, sans-serif'"
/** Sabine first, then colours that people with any colour vision tell apart (Okabe and Ito). */
const COLOURS = [
  "#d55e00",
  "#0072b2",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#e69f00",
  "#7f7f7f",
  "#000000",
  "#8a2be2",
  "#795548"
]

/** The recall axis is stretched towards 1, where the differences are: equal steps for each nine. */
const RECALLS = { least: 0.8, most: 0.999, ticks: [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999] }
const nines = (recall: number): number => -Math.log10(1 - recall)

interface Line {
  readonly name: string
  readonly colour: string
  /** Attributes of a line whose colour is another's too. */
  readonly dash: string
  readonly isOurs: boolean
  readonly points: ReadonlyArray<{ readonly recall: number; readonly cost: number }>
}

const linesOf = (measured: ReadonlyArray<Measured>, queries: string): ReadonlyArray<Line> =>
  measured.map(({ peer, configuration, points }, i) => ({
    name: `${peer} ${configuration.name}`,
    colour: COLOURS[i % COLOURS.length]!,
    dash: i < COLOURS.length ? "" : " stroke-dasharray='5 3'",
    isOurs: peer === "sabine",
    points: frontier(
      points
        .filter((point) => point.queries === queries && (point.recall ?? 0) >= RECALLS.least)
        .map(({ recall, p50 }) => ({ recall: Math.min(recall!, RECALLS.most), cost: p50 }))
    )
  }))

const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x='${x.toFixed(1)}' y='${y.toFixed(1)}' ${FONT} font-size='12' fill='#333' ${attributes}>${escaped(content)}</text>`

/** Every 1, 2 and 5 of each decade between two values. */
const logTicks = (least: number, most: number): ReadonlyArray<number> => {
  const first = Math.floor(Math.log10(least))
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, i) => 10 ** (first + i))
  return decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]).filter((tick) => tick >= least && tick <= most)
}

const panel = (title: string, lines: ReadonlyArray<Line>, range: readonly [number, number], left: number): string => {
  const { width, height } = PANEL
  const [x0, x1] = [left + PANEL.left, left + width - PANEL.right]
  const [y0, y1] = [height - PANEL.bottom, PANEL.top]
  const [low, high] = range
  const x = (recall: number) =>
    x0 + ((nines(recall) - nines(RECALLS.least)) / (nines(RECALLS.most) - nines(RECALLS.least))) * (x1 - x0)
  const y = (us: number) => y0 + (Math.log(us / low) / Math.log(high / low)) * (y1 - y0)
  const grid = [
    ...RECALLS.ticks.flatMap((recall) => [
      `<path d='M${x(recall).toFixed(1)} ${y0}V${y1}' stroke='#ddd'/>`,
      text(x(recall), y0 + 18, String(recall), "text-anchor='middle'")
    ]),
    ...logTicks(low, high).flatMap((us) => [
      `<path d='M${x0} ${y(us).toFixed(1)}H${x1}' stroke='#ddd'/>`,
      text(x0 - 8, y(us) + 4, us >= 1000 ? `${us / 1000} ms` : `${us} us`, "text-anchor='end'")
    ])
  ]
  const drawn = lines
    .filter(({ points }) => points.length > 0)
    .map(({ colour, dash, isOurs, points }) => {
      const places = points.map(({ recall, cost }) => [x(recall).toFixed(1), y(cost).toFixed(1)] as const)
      const path = places.map(([px, py], i) => `${i === 0 ? "M" : "L"}${px} ${py}`).join("")
      const dots = places.map(
        ([px, py]) => `<circle cx='${px}' cy='${py}' r='${isOurs ? 3.5 : 2.5}' fill='${colour}'/>`
      )
      return `<path d='${path}' fill='none' stroke='${colour}' stroke-width='${isOurs ? 3 : 1.5}'${dash}/>${dots.join("")}`
    })
  return [
    text(x0, y1 - 14, title, "font-weight='bold'"),
    ...grid,
    `<path d='M${x0} ${y1}V${y0}H${x1}' fill='none' stroke='#333'/>`,
    text((x0 + x1) / 2, y0 + 40, "recall@10", "text-anchor='middle'"),
    ...drawn
  ].join("\n")
}

const legend = (lines: ReadonlyArray<Line>, width: number): string =>
  lines
    .map(({ name, colour, dash, isOurs }, i) => {
      const x = PANEL.left + (i % LEGEND_COLUMNS) * ((width - PANEL.left) / LEGEND_COLUMNS)
      const y = PANEL.height + Math.floor(i / LEGEND_COLUMNS) * LEGEND_ROW
      const stroke = `<path d='M${x.toFixed(1)} ${y}h22' stroke='${colour}' stroke-width='${isOurs ? 3 : 1.5}'${dash}/>`
      return stroke + text(x + 30, y + 4, name, isOurs ? "font-weight='bold'" : "")
    })
    .join("\n")

/** The drawing; undefined when no configuration has recall to show. */
export const plot = (all: ReadonlyArray<Measured>, machine: string): string | undefined => {
  const measured = all.filter(({ configuration, points }) => configuration.task === "approximate" && points.length > 0)
  const [first] = measured
  if (first === undefined) return undefined
  const sets = querySets(measured)
  const panels = sets.map((set) => linesOf(measured, set))
  const costs = panels.flat().flatMap(({ points }) => points.map(({ cost }) => cost))
  if (costs.length === 0) return undefined
  const range = [Math.min(...costs) * 0.8, Math.max(...costs) * 1.25] as const
  const width = PANEL.width * sets.length
  const height = PANEL.height + Math.ceil(measured.length / LEGEND_COLUMNS) * LEGEND_ROW + 14
  const title = (set: string) => `${first.rows} x ${first.width}, queries "${set}": p50 of a single query, one thread`
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ${width} ${height}' width='${width}' height='${height}'>`,
    `<title>Recall and latency of Sabine and its peers on ${escaped(machine)}</title>`,
    `<rect width='${width}' height='${height}' fill='#fff'/>`,
    ...panels.map((lines, i) => panel(title(sets[i]!), lines, range, i * PANEL.width)),
    legend(panels[0]!, width),
    "</svg>",
    ""
  ].join("\n")
}
