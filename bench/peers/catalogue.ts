/** Who is measured, in the order of the table. */
import type { Adapter } from "./peer.ts"

/** What has to be installed first: `npm` for this folder's package, `python` for its virtual environment. */
export type Needs = "nothing" | "npm" | "python"

interface Entry {
  readonly needs: Needs
  /** Adapters written in Python are processes of their own. */
  readonly load: (() => Promise<{ readonly adapter: Adapter }>) | string
}

/** A new peer is a line here and a file in `adapters/`. */
const PEERS = {
  sabine: { needs: "nothing", load: () => import("./adapters/sabine.ts") },
  faiss: { needs: "python", load: "adapters/faiss.py" },
  scann: { needs: "python", load: "adapters/scann.py" },
  zvec: { needs: "npm", load: () => import("./adapters/zvec.ts") },
  "hnswlib-node": { needs: "npm", load: () => import("./adapters/hnswlib-node.ts") },
  usearch: { needs: "npm", load: () => import("./adapters/usearch.ts") },
  "sqlite-vec": { needs: "npm", load: () => import("./adapters/sqlite-vec.ts") },
  lancedb: { needs: "npm", load: () => import("./adapters/lancedb.ts") },
  vectra: { needs: "npm", load: () => import("./adapters/vectra.ts") },
  orama: { needs: "npm", load: () => import("./adapters/orama.ts") },
  "plain-js": { needs: "nothing", load: () => import("./adapters/plain-js.ts") },
  memory: { needs: "nothing", load: () => import("./adapters/memory.ts") }
} as const satisfies Readonly<Record<string, Entry>>

export const peers = Object.keys(PEERS)

const entryOf = (peer: string): Entry => {
  const entry: Entry | undefined = (PEERS as Readonly<Record<string, Entry>>)[peer]
  if (entry === undefined) throw new Error(`no peer is called ${peer}: there are ${peers.join(", ")}`)
  return entry
}

export const needsOf = (peer: string): Needs => entryOf(peer).needs

/** The Python program of a peer; undefined for those written for Node. */
export const programOf = (peer: string): string | undefined => {
  const { load } = entryOf(peer)
  return typeof load === "string" ? load : undefined
}

export const adapterOf = async (peer: string): Promise<Adapter> => {
  const { load } = entryOf(peer)
  if (typeof load === "string") throw new Error(`${peer} is not written for Node`)
  return (await load()).adapter
}
