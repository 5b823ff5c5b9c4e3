/** Large collections of random vectors. */
import type { Collection } from "../src/index.ts"
import { randomVectors } from "./stores.ts"

const BATCH = 65_536

/** Adds `rows` vectors, a new batch of the same ones each time: what is measured here depends on no vector. */
export const addRandom = async (collection: Collection, rows: number): Promise<void> => {
  const { dimensions } = collection.shape
  const { base } = randomVectors(Math.min(rows, BATCH), dimensions)
  for (let from = 0; from < rows; from += BATCH) {
    const count = Math.min(BATCH, rows - from)
    const keys = Array.from({ length: count }, (_, i) => (from + i).toString(36).padStart(8, "0"))
    await collection.addMany({ keys, vectors: base.subarray(0, count * dimensions) })
  }
}
