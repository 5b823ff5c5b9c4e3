/** hnswlib-node: hnswlib's HNSW and its brute force, one query and one thread at a time. */
import { join } from "node:path"
import hnswlib from "hnswlib-node"
import { type Adapter, floats, type Matrix } from "../peer.ts"
import { versionOf } from "../version.ts"

const M = 16
const EF_CONSTRUCTION = 128
const EF_SEARCH = 64

const FILE = "index.hnswlib"

/** It takes plain arrays only. */
const plain = (values: Float32Array | Uint8Array): Array<number> => Array.from(values)

const addAll = (index: { addPoint(point: Array<number>, label: number): void }, base: Matrix): void => {
  const vectors = floats(base)
  for (let row = 0; row < base.rows; row++) {
    index.addPoint(plain(vectors.subarray(row * base.width, (row + 1) * base.width)), row)
  }
}

export const adapter: Adapter = {
  version: versionOf("hnswlib-node"),
  configurations: [
    {
      name: "HNSW f32",
      task: "approximate",
      settings: [16, 32, 64, 96, 128, 192, 256, 384, 512].map((efSearch) => ({ efSearch })),
      note: `M ${M}, efConstruction ${EF_CONSTRUCTION}, as npm compiles it (SSE)`
    },
    { name: "BruteforceSearch", task: "exact" }
  ],
  build: ({ task }, base, folder) => {
    const path = join(folder, FILE)
    if (task === "exact") {
      const rows = new hnswlib.BruteforceSearch("ip", base.width)
      rows.initIndex(base.rows)
      addAll(rows, base)
      return { threads: 1, save: () => rows.writeIndexSync(path) }
    }
    const graph = new hnswlib.HierarchicalNSW("ip", base.width)
    graph.initIndex(base.rows, M, EF_CONSTRUCTION)
    addAll(graph, base)
    return { threads: 1, save: () => graph.writeIndexSync(path) }
  },
  open: ({ task }, folder, { width }) => {
    const path = join(folder, FILE)
    if (task === "exact") {
      const rows = new hnswlib.BruteforceSearch("ip", width)
      rows.readIndexSync(path)
      return { search: (query, k) => rows.searchKnn(plain(query), k).neighbors }
    }
    const graph = new hnswlib.HierarchicalNSW("ip", width)
    graph.readIndexSync(path)
    graph.setEf(EF_SEARCH)
    return {
      search: (query, k) => graph.searchKnn(plain(query), k).neighbors,
      tune: ({ efSearch = EF_SEARCH }) => graph.setEf(efSearch)
    }
  }
}
