/**
 * The main kernels at small sizes against two floors of the same run: what memory gives, and what a core does without it.
 * Their relation is the machine's, which changes with its clock and its neighbours: a kernel that became slower is
 * slower against both.
 */
import { kernels } from "../src/core/native.ts"
import type { Precision } from "../src/core/store/layout.ts"
import { writeVectors } from "../src/core/store/write.ts"
import { codeViews, inTurn, scanner, streamer, vectorViews } from "./scanning.ts"
import { blankEncoder, filledStore, randomCodes, randomEncoder, randomVectors } from "./stores.ts"
import { interleave, quantile, type Times } from "./timing.ts"

/** One kernel and the memory that it is compared with. */
interface Guarded {
  readonly name: string
  readonly against: string
  readonly subject: () => unknown
  readonly stream: () => unknown
}

/** What a kernel took: times a floor of the same run. */
interface Ratio {
  readonly against: string
  readonly ratio: number
}

/** Small enough for the second-level cache to be of use, large enough for calls not to count. */
const CODE_ROWS = 65_536
const VECTOR_ROWS = 8192
const DIMENSIONS = 128
const QUERIES = 16
const WRITTEN_ROWS = 512

const scans = (): ReadonlyArray<Guarded> => {
  const store = randomCodes(kernels, CODE_ROWS)
  const stream = streamer(kernels, codeViews(store))
  const queries = { vectors: randomVectors(QUERIES, store.shape.dimensions).base, count: QUERIES }
  return (["binary", "flat"] as const).map((mode) => ({
    name: `${mode} scan of ${CODE_ROWS} codes`,
    against: "streamBytes of the codes",
    subject: inTurn(queries, store.shape.dimensions, scanner(store, { mode, k: 10 })),
    stream
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
    stream: streamer(kernels, vectorViews(store))
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
    stream: streamer(kernels, [touched(1 << 21)])
  }
}

const checksum = (): Guarded => {
  const bytes = touched(1 << 20)
  return {
    name: "CRC-32C of 1 MB",
    against: "streamBytes of it",
    subject: () => kernels.crc32c(bytes),
    stream: streamer(kernels, [bytes])
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

/** Side of square matrices that the first cache holds. */
const SIDE = 48
const [left, right, product] = [1, 1, 0].map((value) => new Float32Array(SIDE * SIDE).fill(value))
/** Work that fills the ports of a core and asks memory for nothing, by code that no other kernel runs. */
const core = () => {
  const inForce = kernels.activeIsa()
  kernels.useIsa("scalar")
  kernels.matmul(left!, right!, product!, SIDE, SIDE, SIDE)
  kernels.useIsa(inForce)
}

/** Microseconds of the subject, and how many times those of each floor it is. */
export const measure = async ({
  against,
  subject,
  stream
}: Guarded): Promise<{ readonly us: number; readonly ratios: ReadonlyArray<Ratio> }> => {
  const times = await interleave({ stream, core, subject }, EFFORT)
  const quick = ({ rounds }: Times) =>
    quantile(
      [...rounds].sort((a, b) => a - b),
      QUICK
    )
  const us = quick(times.subject)
  return {
    us,
    ratios: [
      { against, ratio: us / quick(times.stream) },
      { against: "scalar matmul in the first cache", ratio: us / quick(times.core) }
    ]
  }
}
