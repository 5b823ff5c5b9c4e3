/** Sabine, through the door that its users take. */

import manifest from "../../../package.json" with { type: "json" }
import { type CollectionOptions, open, type SearchOptions } from "../../../src/index.ts"
import { type Adapter, type Configuration, floats, type Matrix, type Setting } from "../peer.ts"

const COLLECTION = "peers"
const CODE_DIMENSIONS = 256
/** A component of a product code for four of the vector's, as faiss's configurations have it. */
const COMPONENTS = 4

/** Codes alone, of one subspace for so many components. */
const codesAlone =
  (components: number, bits: 4 | 8, rotation: "auto" | "none" = "auto") =>
  (width: number): CollectionOptions => {
    const m = Math.max(4, Math.floor(width / components))
    return { precision: "none", codes: { pq: { m, bits, rotation } } }
  }

/** What a configuration makes of its collection and asks of its searches; the rest is the setting's. */
interface Way extends Configuration {
  readonly collection?: CollectionOptions | ((width: number) => CollectionOptions)
  readonly search: SearchOptions
}

/** A new mode is an entry here: its settings are search options by name. */
const WAYS: ReadonlyArray<Way> = [
  {
    name: "recall",
    task: "approximate",
    index: "ivf",
    collection: { index: "ivf" },
    search: {},
    settings: [0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999].map((recall) => ({ recall })),
    note: "the level is asked for; building measures what reaches it"
  },
  {
    name: "ivf",
    task: "approximate",
    index: "ivf",
    collection: { index: "ivf" },
    search: { mode: "ivf" },
    settings: [8, 16, 24, 32, 48, 64, 96].flatMap((nprobe) => [32, 64, 128].map((rerank) => ({ nprobe, rerank })))
  },
  {
    name: "hnsw",
    task: "approximate",
    collection: { index: "hnsw" },
    search: { mode: "hnsw" },
    settings: [16, 24, 32, 48, 64, 96, 128, 192, 256].map((efSearch) => ({ efSearch })),
    note: "M 16, efConstruction 200, its defaults"
  },
  {
    name: "pq x 4 bits",
    task: "approximate",
    collection: (width) => ({ index: "none", codes: { pq: { m: width / COMPONENTS, bits: 4 } } }),
    search: { mode: "pq" },
    settings: [16, 24, 32, 48, 64, 96, 128, 192, 256, 384].map((rerank) => ({ rerank })),
    note: "4 bits for four components"
  },
  {
    name: "ivf of pq x 4 bits",
    task: "approximate",
    collection: (width) => ({ index: "ivf", codes: { pq: { m: width / COMPONENTS, bits: 4, rotation: "none" } } }),
    search: { mode: "ivf" },
    settings: [16, 24, 32, 48, 64, 96].flatMap((nprobe) => [24, 32, 48, 64, 96].map((rerank) => ({ nprobe, rerank })))
  },
  {
    name: "flat",
    task: "approximate",
    index: "flat",
    collection: { index: "none" },
    search: { mode: "flat" },
    settings: [16, 24, 32, 48, 64, 96, 128, 192, 256, 384].map((rerank) => ({ rerank }))
  },
  ...(
    [
      ["8 x 8", 48, 8],
      ["32 x 8", 12, 8],
      ["96 x 4", 4, 4]
    ] as const
  ).flatMap(([name, components, bits]): ReadonlyArray<Way> => {
    const way = { task: "codes", search: { mode: "pq" } } as const
    return [
      { ...way, name: `pq ${name}`, collection: codesAlone(components, bits), note: "of 384 components" },
      { ...way, name: `pq ${name}, not rotated`, collection: codesAlone(components, bits, "none") }
    ]
  }),
  { name: "exact", task: "exact", index: "flat", collection: { index: "none" }, search: { mode: "exact" } },
  {
    name: "binary",
    task: "hamming",
    collection: { precision: "none", index: "none" },
    search: { mode: "binary" },
    note: "codes of its own, made of the bits as vectors; encoding the query is in the time"
  }
]

const optionsOf = ({ collection = {} }: Way, width: number): CollectionOptions =>
  typeof collection === "function" ? collection(width) : collection

const wayOf = ({ name }: Configuration): Way => WAYS.find((way) => way.name === name)!

export const adapter: Adapter = {
  version: manifest.version,
  configurations: WAYS.map(({ collection, search, ...configuration }) => configuration),
  build: async (configuration, base, folder, threads) => {
    const way = wayOf(configuration)
    const dimensions = way.task === "hamming" ? CODE_DIMENSIONS : base.width
    const db = await open(folder, { threads })
    const options = optionsOf(way, base.width)
    const collection = await db.collection(COLLECTION, { dimensions, ...options })
    if (way.task === "codes") await collection.train(vectorsOf(base, 0, base.rows))
    for (let from = 0; from < base.rows; from += BATCH) {
      const to = Math.min(base.rows, from + BATCH)
      const keys = Array.from({ length: to - from }, (_, i) => String(from + i))
      await collection.addMany({ keys, vectors: vectorsOf(base, from, to) })
    }
    if (options.index === "ivf" || options.index === "hnsw") await collection.buildIndex()
    const save = async () => {
      await db.save()
      await db.close()
    }
    return { threads, save }
  },
  open: async (configuration, folder, { threads }) => {
    const way = wayOf(configuration)
    const db = await open(folder, { threads })
    const collection = await db.collection(COLLECTION)
    const isHamming = way.task === "hamming"
    let options: SearchOptions = way.search
    return {
      search: async (query, k) => {
        const vector = query instanceof Uint8Array ? signsOf(query) : query
        const hits = await collection.search(vector, { ...options, k })
        return isHamming ? [] : hits.map(({ key }) => key)
      },
      searchMany: (queries, k) => collection.searchMany(floats(queries), { ...options, k }),
      tune: async (setting: Setting) => {
        options = { ...way.search, ...setting }
      },
      close: () => db.close()
    }
  }
}

/** Rows added in one batch; those of vectors are one batch. */
const BATCH = 131_072

const vectorsOf = ({ values, width }: Matrix, from: number, to: number): Float32Array => {
  const part = values.subarray(from * width, to * width)
  return part instanceof Float32Array ? part : signsOf(part)
}

/** The bits as vectors of +1 and -1, least significant bit first. */
const signsOf = (bytes: Uint8Array): Float32Array =>
  Float32Array.from({ length: bytes.length * 8 }, (_, bit) => ((bytes[bit >> 3]! >> (bit & 7)) & 1) * 2 - 1)
