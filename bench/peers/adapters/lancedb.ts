/** LanceDB: a table in a folder, scanned, or searched through its IVF_PQ or HNSW index. Its threads cannot be told to a query. */
import { connect, Index } from "@lancedb/lancedb"
import { inLanes } from "../in-lanes.ts"
import { type Adapter, floats, type Matrix, rowOf, type Setting } from "../peer.ts"
import { versionOf } from "../version.ts"

const TABLE = "rows"
const LISTS = 256
const BATCH = 25_000
/** A component of a code for four of the vector's, as faiss's configurations have it. */
const COMPONENTS = 4

const M = 16
const EF_CONSTRUCTION = 128

const ivf = ({ width }: Matrix) =>
  Index.ivfPq({ numPartitions: LISTS, numSubVectors: width / COMPONENTS, distanceType: "dot" })
const hnsw = () => Index.hnswSq({ numPartitions: 1, m: M, efConstruction: EF_CONSTRUCTION, distanceType: "dot" })

function* records({ rows, width, values }: Matrix) {
  for (let from = 0; from < rows; from += BATCH) {
    yield Array.from({ length: Math.min(BATCH, rows - from) }, (_, i) => {
      const row = from + i
      return { id: row, vector: Array.from(values.subarray(row * width, (row + 1) * width)) }
    })
  }
}

export const adapter: Adapter = {
  version: versionOf("@lancedb/lancedb"),
  configurations: [
    {
      name: `IVF${LISTS} PQ`,
      task: "approximate",
      settings: [8, 16, 32, 64].flatMap((nprobe) => [4, 16].map((refine) => ({ nprobe, refine }))),
      note: "8 bits for four components; a single query may use every processor"
    },
    {
      name: "HNSW SQ",
      task: "approximate",
      settings: [48, 64, 96, 128, 256, 512].map((ef) => ({ ef, refine: 4 })),
      note: `M ${M}, efConstruction ${EF_CONSTRUCTION}, one partition; a single query may use every processor`
    },
    { name: "no index", task: "exact", note: "may use every processor" }
  ],
  build: async ({ name, task }, base, folder) => {
    const database = await connect(folder)
    const batches = records(base)
    const first = batches.next()
    const table = await database.createTable(TABLE, first.done ? [] : first.value)
    for (const batch of batches) await table.add(batch)
    if (task === "approximate") await table.createIndex("vector", { config: name === "HNSW SQ" ? hnsw() : ivf(base) })
    return { threads: 2, save: () => table.close() }
  },
  open: async ({ settings: [first = {}] = [] }, folder, { threads }) => {
    const table = await (await connect(folder)).openTable(TABLE)
    let setting: Setting = first
    const search = async (query: Float32Array | Uint8Array, k: number) => {
      const { nprobe, refine, ef } = setting
      let asked = table
        .vectorSearch(floats({ values: query }))
        .distanceType("dot")
        .limit(k)
      if (nprobe !== undefined) asked = asked.nprobes(nprobe)
      if (ef !== undefined) asked = asked.ef(ef)
      if (refine !== undefined) asked = asked.refineFactor(refine)
      return (await asked.select(["id", "_distance"]).toArray()).map(({ id }) => id)
    }
    return {
      search,
      searchMany: (queries, k) => inLanes(threads, queries.rows, (i) => search(rowOf(queries, i), k)),
      tune: (next) => {
        setting = next
      },
      close: () => table.close()
    }
  }
}
