/** Orama's vector search: every vector, in JavaScript. It has no file of vectors: opening inserts them again. */
import { create, insertMultiple, search } from "@orama/orama"
import { readMatrix, writeMatrix } from "../matrix-file.ts"
import { type Adapter, rowOf } from "../peer.ts"
import { versionOf } from "../version.ts"

const BATCH = 1000

export const adapter: Adapter = {
  version: versionOf("@orama/orama"),
  configurations: [{ name: "vector", task: "exact", note: "opening inserts every vector again" }],
  build: (_, base, folder) => ({ threads: 0, save: () => writeMatrix(folder, base) }),
  open: async (_, folder, { width }) => {
    const base = readMatrix(folder, width)
    const database = create({ schema: { embedding: `vector[${width}]` } })
    const entries = Array.from({ length: base.rows }, (_, row) => {
      return { id: String(row), embedding: Array.from(rowOf(base, row)) }
    })
    await insertMultiple(database, entries, BATCH)
    return {
      search: async (query, k) => {
        const vector = { value: Array.from(query), property: "embedding" }
        const { hits } = await search(database, { mode: "vector", vector, similarity: -1, limit: k })
        return hits.map(({ id }) => id)
      }
    }
  }
}
