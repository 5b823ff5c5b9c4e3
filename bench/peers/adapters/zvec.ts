/** zvec: a collection in a folder, with one vector index of the kind that the configuration names. */
import { join } from "node:path"
import zvec from "@zvec/zvec"
import { inLanes } from "../in-lanes.ts"
import { type Adapter, type Configuration, floats, rowOf, type Setting } from "../peer.ts"
import { versionOf } from "../version.ts"

const { ZVecIndexType: Type, ZVecMetricType: Metric, ZVecDataType: DataType } = zvec

const M = 16
const EF_CONSTRUCTION = 128
const LISTS = 256
const FIELD = "vector"
const BATCH = 1000
const EFS = [16, 32, 64, 96, 128, 192, 256, 384, 512].map((ef) => ({ ef }))
const PROBES = [4, 8, 16, 32, 64].map((nprobe) => ({ nprobe }))

/** How a configuration's index is made, and how a query asks it. */
const kindOf = ({ name }: Configuration) => {
  const metricType = Metric.IP
  const graph = { metricType, m: M, efConstruction: EF_CONSTRUCTION }
  switch (name) {
    case "HNSW f32":
      return { indexType: Type.HNSW, ...graph }
    case "HNSW RaBitQ":
      return { indexType: Type.HNSW_RABITQ, ...graph }
    case "IVF256 RaBitQ":
      return { indexType: Type.IVF_RABITQ, metricType, nList: LISTS }
    default:
      return { indexType: Type.FLAT, metricType }
  }
}

/** The parameters of a query: breadth for graphs, lists for IVF, none for the flat index. */
const parametersOf = (configuration: Configuration, { refine, ...setting }: Setting) => {
  const { indexType } = kindOf(configuration)
  return indexType === Type.FLAT ? {} : { params: { indexType, ...setting, isUsingRefiner: refine === 1 } }
}

const graphNote = `M ${M}, efConstruction ${EF_CONSTRUCTION}`

export const adapter: Adapter = {
  version: versionOf("@zvec/zvec"),
  configurations: [
    { name: "HNSW f32", task: "approximate", settings: EFS, note: graphNote },
    { name: "HNSW RaBitQ", task: "approximate", settings: EFS, note: graphNote },
    {
      name: "IVF256 RaBitQ",
      task: "approximate",
      settings: PROBES.map((probe) => ({ ...probe, refine: 1 })),
      note: "with its refiner"
    },
    { name: "FLAT", task: "exact" }
  ],
  build: (configuration, { rows, width, values }, folder, threads) => {
    zvec.ZVecInitialize({ queryThreads: threads, optimizeThreads: threads })
    const schema = new zvec.ZVecCollectionSchema({
      name: "peers",
      vectors: { name: FIELD, dataType: DataType.VECTOR_FP32, dimension: width, indexParams: kindOf(configuration) }
    })
    const collection = zvec.ZVecCreateAndOpen(join(folder, "collection"), schema)
    const vectors = floats({ values })
    for (let from = 0; from < rows; from += BATCH) {
      const count = Math.min(BATCH, rows - from)
      const documents = Array.from({ length: count }, (_, i) => {
        const row = from + i
        return { id: String(row), vectors: { [FIELD]: vectors.slice(row * width, (row + 1) * width) } }
      })
      const refused = collection.insertSync(documents).find(({ ok }) => !ok)
      if (refused !== undefined) throw new Error(refused.message)
    }
    collection.optimizeSync({ concurrency: threads })
    return { threads, save: () => collection.closeSync() }
  },
  open: (configuration, folder, { threads }) => {
    zvec.ZVecInitialize({ queryThreads: threads, optimizeThreads: 1 })
    const collection = zvec.ZVecOpen(join(folder, "collection"), { readOnly: true, enableMMAP: true })
    let parameters = parametersOf(configuration, configuration.settings?.[0] ?? {})
    const asked = (query: Float32Array | Uint8Array, k: number) => ({
      fieldName: FIELD,
      vector: floats({ values: query }),
      topk: k,
      outputFields: [],
      ...parameters
    })
    return {
      search: (query, k) => collection.querySync(asked(query, k)).map(({ id }) => id),
      searchMany: (queries, k) =>
        inLanes(threads, queries.rows, (i) => collection.query(asked(rowOf(queries, i).slice(), k))),
      tune: (setting) => {
        parameters = parametersOf(configuration, setting)
      },
      close: () => collection.closeSync()
    }
  }
}
