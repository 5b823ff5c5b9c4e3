/** Vectors to search, queries, and what an exact search finds for them. */
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { synsets } from "../examples/wordnet/glosses.ts"
import { f16Values } from "../src/core/kernels/f16.ts"
import { staticEmbedder } from "../src/index.ts"
import { exactRows } from "./truth.ts"

export interface Queries {
  /** What tells this set from the others. */
  readonly name: string
  readonly count: number
  /** Row-major. */
  readonly vectors: Float32Array
  /** The nearest rows of each query, best first: `count x depth`. */
  readonly truth: Int32Array
  readonly depth: number
}

export interface Dataset {
  readonly dimensions: number
  readonly rows: number
  /** Row-major. */
  readonly base: Float32Array
  readonly queries: ReadonlyArray<Queries>
}

/** Neighbours that are sought where a folder does not give them. */
const DEPTH = 10
/** Size of the data made from WordNet. */
const MADE_ROWS = 100_000
const MADE_QUERIES = 500

/** The data of a folder, or made from WordNet; of its first `rows` rows when a number is given. */
export const dataset = async (folder: string | undefined, rows: number | undefined): Promise<Dataset> => {
  const whole = folder === undefined ? await made(rows ?? MADE_ROWS) : await read(folder)
  return rows === undefined || rows >= whole.rows ? whole : limited(whole, rows)
}

const limited = ({ dimensions, base, queries }: Dataset, rows: number): Dataset => {
  const first = base.subarray(0, rows * dimensions)
  return {
    dimensions,
    rows,
    base: first,
    queries: queries.map(({ name, vectors }) => queriesOf(name, first, vectors, dimensions))
  }
}

const queriesOf = (name: string, base: Float32Array, vectors: Float32Array, dimensions: number): Queries => ({
  name,
  count: vectors.length / dimensions,
  vectors,
  truth: exactRows(base, vectors, dimensions, DEPTH),
  depth: DEPTH
})

/** `base.100000x384.f16`: what a matrix is, its rows and columns, and its elements. */
const FILE = /^(base|queries|truth)(?:-(.+))?\.(\d+)x(\d+)\.(f16|f32|i32)$/

interface Matrix {
  readonly kind: string
  readonly name: string
  readonly rows: number
  readonly columns: number
  readonly values: () => Promise<Float32Array>
  readonly integers: () => Promise<Int32Array>
}

const matrixOf = (folder: string, file: string): Matrix | undefined => {
  const [, kind, name = "", rows, columns, element] = FILE.exec(file) ?? []
  if (kind === undefined) return undefined
  const bytes = async () => {
    const { buffer, byteOffset, byteLength } = await readFile(join(folder, file))
    return buffer.slice(byteOffset, byteOffset + byteLength)
  }
  return {
    kind,
    name,
    rows: Number(rows),
    columns: Number(columns),
    values: async () => (element === "f16" ? widened(new Uint16Array(await bytes())) : new Float32Array(await bytes())),
    integers: async () => new Int32Array(await bytes())
  }
}

const widened = (halves: Uint16Array): Float32Array => {
  const values = f16Values()
  return Float32Array.from(halves, (half) => values[half]!)
}

const read = async (folder: string): Promise<Dataset> => {
  const matrices = (await readdir(folder)).sort().flatMap((file) => matrixOf(folder, file) ?? [])
  const baseMatrix = matrices.find(({ kind }) => kind === "base")
  if (baseMatrix === undefined) throw new Error(`${folder} has no file such as base.100000x384.f16`)
  const { rows, columns: dimensions } = baseMatrix
  const base = await baseMatrix.values()
  const queries: Array<Queries> = []
  for (const { kind, name, rows: count, values } of matrices) {
    if (kind !== "queries") continue
    const vectors = await values()
    const truth = matrices.find((other) => other.kind === "truth" && other.name === name)
    queries.push(
      truth === undefined
        ? queriesOf(name, base, vectors, dimensions)
        : { name, count, vectors, truth: await truth.integers(), depth: truth.columns }
    )
  }
  return { dimensions, rows, base, queries }
}

/** Glosses of WordNet through the offline embedder, some of them held out as queries. */
const made = async (wanted: number): Promise<Dataset> => {
  const embedder = staticEmbedder()
  const { dimensions } = embedder
  const texts = (await synsets()).map(({ gloss }) => gloss)
  const vectors = await embedder.embed(texts)
  const rows = Math.min(wanted, texts.length - MADE_QUERIES)
  const step = Math.floor(texts.length / MADE_QUERIES)
  const base = new Float32Array(rows * dimensions)
  const held = new Float32Array(MADE_QUERIES * dimensions)
  let row = 0
  for (let i = 0; i < texts.length; i++) {
    const vector = vectors.subarray(i * dimensions, (i + 1) * dimensions)
    if (i % step === 0 && i / step < MADE_QUERIES) held.set(vector, (i / step) * dimensions)
    else if (row < rows) base.set(vector, row++ * dimensions)
  }
  return { dimensions, rows, base, queries: [queriesOf("held-out", base, held, dimensions)] }
}
