/** One measured number, beside the floor or peer that was measured in the same run. */
export interface Figure {
  readonly bench: string
  readonly case: string
  readonly value: number
  readonly unit: string
  /** What `ratio` divides by: a floor or a peer of the same run; null when there is none. */
  readonly against: string | null
  readonly ratio: number | null
}

/** A figure as a bench yields it. */
export interface Measured {
  readonly case: string
  readonly value: number
  readonly unit: string
  readonly against?: string
  readonly ratio?: number
  /** What the figure should reach, as information: a bench asserts nothing. */
  readonly target?: string
}

/** The figure as it is printed and recorded: to four digits, which is more than a run repeats. */
export const figureOf = (bench: string, { case: name, value, unit, against, ratio }: Measured): Figure => ({
  bench,
  case: name,
  value: rounded(value),
  unit,
  against: against ?? null,
  ratio: ratio === undefined ? null : rounded(ratio)
})

const rounded = (value: number): number => Number(value.toPrecision(4))

const WIDTHS = { case: 58, value: 12, unit: 12, ratio: 8 }

/** The figure as a line of a table. */
export const tableLine = (figure: Figure, target: string | undefined): string => {
  const ratio = figure.ratio === null ? "" : `${figure.ratio} x`
  const cells = [
    figure.case.padEnd(WIDTHS.case),
    String(figure.value).padStart(WIDTHS.value),
    figure.unit.padEnd(WIDTHS.unit),
    ratio.padStart(WIDTHS.ratio),
    figure.against ?? ""
  ]
  return `  ${cells.join(" ")}${target === undefined ? "" : `  (target: ${target})`}`.trimEnd()
}
