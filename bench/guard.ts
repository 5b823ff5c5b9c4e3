/** The main kernels at small sizes against floors of the same run: ratios that carry from run to run. */
import { kernels } from "../src/core/native.ts"
import type { Precision } from "../src/core/store/layout.ts"
import { writeVectors } from "../src/core/store/write.ts"
import { codeViews, inTurn, scanner, streamer, vectorViews } from "./scanning.ts"
import { blankEncoder, filledStore, randomCodes, randomEncoder, randomVectors } from "./stores.ts"
import { interleave, quantile, type Times } from "./timing.ts"

/** One kernel and what it is compared with. */
export interface Guarded {
  readonly name: string
  readonly against: string
  readonly subject: () => unknown
  readonly floor: () => unknown
}

/** Small enough for the second-level cache to be of use, large enough for calls not to count. */
const CODE_ROWS = 65_536
const VECTOR_ROWS = 8192
const DIMENSIONS = 128
const QUERIES = 16
const WRITTEN_ROWS = 512

const scans = (): ReadonlyArray<Guarded> => {
  const store = randomCodes(kernels, CODE_ROWS)
  const floor = streamer(kernels, codeViews(store))
  const queries = { vectors: randomVectors(QUERIES, store.shape.dimensions).base, count: QUERIES }
  return (["binary", "flat"] as const).map((mode) => ({
    name: `${mode} scan of ${CODE_ROWS} codes`,
    against: "streamBytes of the codes",
    subject: inTurn(queries, store.shape.dimensions, scanner(store, { mode, k: 10 })),
    floor
  }))
}

const exact = (precision: Precision): Guarded => {
  const store = filledStore(
    kernels,
    randomVectors(VECTOR_ROWS, DIMENSIONS),
    precision,
    blankEncoder(kernels, DIMENSIONS)
  )
  const queries = { vectors: randomVectors(QUERIES, DIMENSIONS).base, count: QUERIES }
  return {
    name: `exact search of ${VECTOR_ROWS} x ${DIMENSIONS} ${precision}`,
    against: "streamBytes of the vectors",
    subject: inTurn(queries, DIMENSIONS, scanner(store, { mode: "exact", k: 10 })),
    floor: streamer(kernels, vectorViews(store))
  }
}

/** Memory with pages of its own: untouched pages are all one page of zeros, which no cache level is too small for. */
const touched = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(1)

const encoding = (): Guarded => {
  const vectors = randomVectors(WRITTEN_ROWS, DIMENSIONS)
  const store = filledStore(kernels, vectors, "f32", randomEncoder(kernels, DIMENSIONS))
  const rows = store.reserve(WRITTEN_ROWS)
  return {
    name: `writing and encoding ${WRITTEN_ROWS} x ${DIMENSIONS}`,
    against: "streamBytes of 2 MB",
    subject: () => writeVectors(kernels, store.columns, rows, vectors.base),
    floor: streamer(kernels, [touched(1 << 21)])
  }
}

const checksum = (): Guarded => {
  const bytes = touched(1 << 20)
  return {
    name: "CRC-32C of 1 MB",
    against: "streamBytes of it",
    subject: () => kernels.crc32c(bytes),
    floor: streamer(kernels, [bytes])
  }
}

/** Everything that is guarded. */
export const guarded = (): ReadonlyArray<Guarded> => [
  ...scans(),
  exact("f32"),
  exact("f16"),
  exact("int8"),
  encoding(),
  checksum()
]

const EFFORT = { rounds: 9, turnMs: 4 }
/** Of the rounds the quickest quarter counts: what disturbs a run only ever slows it. */
const QUICK = 0.25

/** Microseconds of the subject, and how many times that of its floor it is. */
export const measure = async ({
  subject,
  floor
}: Guarded): Promise<{ readonly us: number; readonly ratio: number }> => {
  const times = await interleave({ floor, subject }, EFFORT)
  const quick = ({ rounds }: Times) =>
    quantile(
      [...rounds].sort((a, b) => a - b),
      QUICK
    )
  return { us: quick(times.subject), ratio: quick(times.subject) / quick(times.floor) }
}
