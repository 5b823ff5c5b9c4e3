/** Not a peer but the floor: reading every byte of the vectors or codes once, with the quickest loads of this machine. */
import { kernels } from "../../../src/core/native.ts"
import { streamer } from "../../scanning.ts"
import { readMatrix, writeMatrix } from "../matrix-file.ts"
import type { Adapter } from "../peer.ts"

const NOTHING: ReadonlyArray<number> = []

export const adapter: Adapter = {
  version: kernels.isas()[0] ?? "scalar",
  configurations: [
    { name: "reading f32 once", task: "exact", note: "the floor" },
    { name: "reading bits once", task: "hamming", note: "the floor" }
  ],
  build: (_, base, folder) => ({ threads: 0, save: () => writeMatrix(folder, base) }),
  open: ({ task }, folder, { width }) => {
    const { values } = readMatrix(folder, width, task === "hamming" ? "u8" : "f32")
    const stream = streamer(kernels, [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)])
    return {
      search: () => {
        stream()
        return NOTHING
      }
    }
  }
}
