/** Data as plain files, one matrix each, so that every peer reads the same bytes whatever it is written in. */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Dataset } from "../data.ts"
import { randomWords } from "../stores.ts"
import { nearestCodes } from "./hamming.ts"
import type { Matrix, Task } from "./peer.ts"

/** A set of queries and the rows nearest to each, best first. */
export interface QuerySet {
  readonly name: string
  readonly matrix: Matrix
  /** `rows x depth`. */
  readonly truth: Int32Array
  readonly depth: number
}

/** `data.json`: what the files beside it are. */
interface Manifest {
  readonly element: "f32" | "u8"
  readonly rows: number
  readonly width: number
  readonly queries: ReadonlyArray<{ readonly name: string; readonly count: number; readonly depth: number }>
}

const CODE_BYTES = 32
const CODE_QUERIES = 64
const CODE_SEED = 7
const DEPTH = 10

const matrixIn = (folder: string, file: string, { element, width }: Manifest): Matrix => {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, `${file}.bin`))
  const values =
    element === "u8"
      ? new Uint8Array(buffer, byteOffset, byteLength)
      : new Float32Array(buffer, byteOffset, byteLength / 4)
  return { rows: values.length / width, width, values }
}

const manifestIn = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, "data.json"), "utf8"))

export const readBase = (folder: string): Matrix => matrixIn(folder, "base", manifestIn(folder))

/** Queries of each set that are enough where every row is scanned: only slow peers would feel more of them. */
const FEW = 50

export const readQueries = (folder: string, task: Task): ReadonlyArray<QuerySet> => {
  const manifest = manifestIn(folder)
  return manifest.queries.map(({ name, depth }) => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(folder, `truth-${name}.bin`))
    const truth = new Int32Array(buffer, byteOffset, byteLength / 4)
    const { width, rows, values } = matrixIn(folder, `queries-${name}`, manifest)
    const count = task === "approximate" || task === "codes" ? rows : Math.min(rows, FEW)
    return { name, depth, truth, matrix: { rows: count, width, values: values.subarray(0, count * width) } }
  })
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Writes a folder unless it is there whole: the manifest comes last. */
const write = (folder: string, base: Matrix, queries: ReadonlyArray<QuerySet>): string => {
  if (existsSync(join(folder, "data.json"))) return folder
  mkdirSync(folder, { recursive: true })
  const put = (name: string, values: ArrayBufferView) => writeFileSync(join(folder, `${name}.bin`), bytesOf(values))
  put("base", base.values)
  for (const { name, matrix, truth } of queries) {
    put(`queries-${name}`, matrix.values)
    put(`truth-${name}`, truth)
  }
  const manifest: Manifest = {
    element: base.values instanceof Uint8Array ? "u8" : "f32",
    rows: base.rows,
    width: base.width,
    queries: queries.map(({ name, matrix, depth }) => ({ name, count: matrix.rows, depth }))
  }
  writeFileSync(join(folder, "data.json.part"), JSON.stringify(manifest))
  renameSync(join(folder, "data.json.part"), join(folder, "data.json"))
  return folder
}

/** Files of a data set, in a folder named for its size and content. */
export const vectorFiles = (work: string, { dimensions, rows, base, queries }: Dataset): string => {
  const digest = queries
    .reduce((hash, { vectors }) => hash.update(bytesOf(vectors)), createHash("sha256").update(bytesOf(base)))
    .digest("hex")
    .slice(0, 8)
  return write(
    join(work, `vectors-${rows}x${dimensions}-${digest}`, "data"),
    { rows, width: dimensions, values: base },
    queries.map(({ name, count, vectors, truth, depth }) => {
      return { name, depth, truth, matrix: { rows: count, width: dimensions, values: vectors } }
    })
  )
}

/** Random codes of 256 bits: what a scan of them costs does not depend on where they come from. */
export const codeFiles = (work: string, rows: number): string => {
  const folder = join(work, `codes-${rows}x${CODE_BYTES * 8}`, "data")
  if (existsSync(join(folder, "data.json"))) return folder
  const random = randomWords(CODE_SEED)
  const codesOf = (count: number): Matrix => {
    const words = Uint32Array.from({ length: (count * CODE_BYTES) / 4 }, random)
    return { rows: count, width: CODE_BYTES, values: new Uint8Array(words.buffer) }
  }
  const base = codesOf(rows)
  const matrix = codesOf(CODE_QUERIES)
  return write(folder, base, [{ name: "random", matrix, depth: DEPTH, truth: nearestCodes(base, matrix, DEPTH) }])
}
