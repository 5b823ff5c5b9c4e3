/** Vectra: every vector of a folder's one file, in JavaScript. Its usual JSON file is longer than a string can be. */
import { LocalIndex, ProtobufCodec } from "vectra"
import { type Adapter, rowOf } from "../peer.ts"
import { versionOf } from "../version.ts"

const indexIn = (folder: string) => new LocalIndex(folder, undefined, undefined, new ProtobufCodec())

export const adapter: Adapter = {
  version: versionOf("vectra"),
  configurations: [{ name: "LocalIndex", task: "exact", note: "its file in protobuf, read whole by the first query" }],
  build: async (_, base, folder) => {
    const index = indexIn(folder)
    await index.createIndex({ version: 1, deleteIfExists: true })
    await index.beginUpdate()
    for (let row = 0; row < base.rows; row++) {
      await index.insertItem({ id: String(row), vector: Array.from(rowOf(base, row)), metadata: {} })
    }
    return { threads: 0, save: () => index.endUpdate() }
  },
  open: (_, folder) => {
    const index = indexIn(folder)
    return {
      search: async (query, k) => (await index.queryItems(Array.from(query), "", k)).map(({ item }) => item.id)
    }
  }
}
