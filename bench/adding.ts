/** Vectors of the data into collections. */
import type { Collection } from "../src/index.ts"
import type { Vectors } from "./stores.ts"

export const keysOf = (rows: number, prefix = "key"): ReadonlyArray<string> =>
  Array.from({ length: rows }, (_, row) => `${prefix}-${row}`)

/** Adds every row in one batch: row numbers are those of the data. */
export const addBase = (collection: Collection, { rows, base }: Vectors): Promise<void> =>
  collection.addMany({ keys: keysOf(rows), vectors: base })
