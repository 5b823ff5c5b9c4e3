/** The record of one machine and day, one configuration or point a line, so that a difference reads as one. */
import type { Measured, Results } from "./results.ts"

interface Machine {
  readonly cpu: string
  /** The best instruction set of the machine. */
  readonly isa: string
  readonly node: string
  readonly date: string
}

/** Numbers to four digits, which is more than a run repeats; counts whole. */
const rounded = (name: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) && name !== "recall" ? Number(value.toPrecision(4)) : value

const line = (value: unknown): string => JSON.stringify(value, rounded)

const measuredText = ({ points, ...one }: Measured): string => {
  const head = line(one).slice(0, -1)
  return `${head},"points":[${points.map((point) => `\n  ${line(point)}`).join(",")}]}`
}

export const recordText = (machine: Machine, { measured, absent }: Results): string => {
  const head = line(machine).slice(0, -1)
  return `${head},"absent":${line(absent)},"measured":[\n${measured.map(measuredText).join(",\n")}\n]}\n`
}
