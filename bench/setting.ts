/** What a bench is given, and what it yields. */
import { type Dataset, dataset } from "./data.ts"
import type { Measured } from "./figure.ts"

export interface Setting {
  /** Folder of vectors, queries and truth; without one they are made from WordNet. */
  readonly data: string | undefined
  /** Row counts to measure at; empty for those of the bench. */
  readonly rows: ReadonlyArray<number>
}

/** A file `<name>.bench.ts`. */
export interface Bench {
  /** What is measured, in one line. */
  readonly about: string
  readonly figures: (setting: Setting) => AsyncIterable<Measured>
}

/** The row counts that were asked for, or the one that the bench is about. */
export const rowCounts = ({ rows }: Setting, usual: number): ReadonlyArray<number> => (rows.length > 0 ? rows : [usual])

/** The data at every size that was asked for. */
export async function* datasets({ data, rows }: Setting): AsyncGenerator<Dataset> {
  for (const count of rows.length > 0 ? rows : [undefined]) yield await dataset(data, count)
}
