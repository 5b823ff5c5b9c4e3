/** usearch: HNSW over f32 and i8, saved to one file that can be mapped. */
import { join } from "node:path"
import usearch from "usearch"
import { readMatrix, writeMatrix } from "../matrix-file.ts"
import { type Adapter, type Configuration, floats, type Matrix } from "../peer.ts"
import { versionOf } from "../version.ts"

const M = 16
const EF_CONSTRUCTION = 128
const EF_SEARCH = 64
const SETTINGS = [16, 32, 64, 96, 128, 192, 256, 384, 512].map((efSearch) => ({ efSearch }))
const NOTE = `M ${M}, efConstruction ${EF_CONSTRUCTION}`

const configurations: ReadonlyArray<Configuration> = [
  { name: "HNSW f32", task: "approximate", index: "hnsw-f32", settings: SETTINGS, note: NOTE },
  { name: "HNSW i8", task: "approximate", index: "hnsw-i8", settings: SETTINGS, note: NOTE },
  { name: "HNSW f32, mapped", task: "approximate", index: "hnsw-f32", opensOnly: true, note: "opened with view()" },
  { name: "exactSearch", task: "exact" }
]

const empty = (width: number, { name }: Configuration, efSearch: number) =>
  new usearch.Index({
    dimensions: width,
    metric: "ip",
    quantization: name.includes("i8") ? "i8" : "f32",
    connectivity: M,
    expansion_add: EF_CONSTRUCTION,
    expansion_search: efSearch,
    multi: false
  })

const FILE = "index.usearch"

export const adapter: Adapter = {
  version: versionOf("usearch"),
  configurations,
  build: (configuration, base, folder, threads) => {
    if (configuration.task === "exact") return { threads: 0, save: () => writeMatrix(folder, base) }
    const index = empty(base.width, configuration, EF_SEARCH)
    index.add(
      BigUint64Array.from({ length: base.rows }, (_, row) => BigInt(row)),
      floats(base),
      threads
    )
    return { threads, save: () => index.save(join(folder, FILE)) }
  },
  open: (configuration, folder, { width, threads }) => {
    if (configuration.task === "exact") {
      // It reads from the start of the buffer whatever the offset of the view is: each gets a buffer of its own.
      const vectors = floats(readMatrix(folder, width)).slice()
      return {
        search: (query, k) =>
          usearch.exactSearch(vectors, floats({ values: query }).slice(), width, k, "ip", threads).keys
      }
    }
    const reopened = (efSearch: number) => {
      const index = empty(width, configuration, efSearch)
      if (configuration.opensOnly) index.view(join(folder, FILE))
      else index.load(join(folder, FILE))
      return index
    }
    let index = reopened(EF_SEARCH)
    return {
      search: (query, k) => index.search(floats({ values: query }), k, 1).keys,
      searchMany: (queries: Matrix, k) => index.search(floats(queries), k, threads).keys,
      // The breadth of a search is given when an index is made.
      tune: ({ efSearch = EF_SEARCH }) => {
        index = reopened(efSearch)
      }
    }
  }
}
