/** The static embedder's data, read once a process into shared memory that every thread encodes from. */
import { open, readFile } from "node:fs/promises"
import { setImmediate } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { ImageInvalid, StorageFailure } from "../errors.ts"
import { packVocabulary, type Vocabulary } from "./vocabulary.ts"

/** Views on one shared buffer: a message to a worker thread carries it without a copy. */
export interface StaticTable {
  readonly dimensions: number
  /** One row a piece, row-major; the real value is `codes * scale of the row`. */
  readonly codes: Int8Array
  readonly scales: Float32Array
  readonly vocabulary: Vocabulary
}

/** Components of a row, and of a vector. */
export const STATIC_DIMENSIONS = 256
const PIECES = 30_522
/** Slots for the 24,694 pieces that start a word and the 5,828 that continue one: less than half full. */
const HEAD_SLOTS = 65_536
const TAIL_SLOTS = 16_384

/** Pieces packed before other work of the thread gets its turn. */
const PIECES_A_SLICE = 2_048

const CODE_BYTES = PIECES * STATIC_DIMENSIONS
const SCALE_BYTES = PIECES * 4

/** The same depth from `src/core/embed` and from `dist/core/embed`. */
const folder = new URL("../../../data/static-embedder/", import.meta.url)
const codesFile = new URL(`table.${PIECES}x${STATIC_DIMENSIONS}.i8`, folder)
const scalesFile = new URL(`scale.${PIECES}.f32`, folder)
const vocabularyFile = new URL("vocab.txt", folder)

const fails =
  (operation: string, url: URL) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new StorageFailure({ operation, path: fileURLToPath(url), code: cause.code ?? "UNKNOWN", cause })
  }

const wrongLength = (url: URL, got: number, expected: number, unit: string) =>
  new ImageInvalid({
    path: fileURLToPath(url),
    field: "length",
    from: Math.min(got, expected),
    to: Math.max(got, expected),
    reason: `${got} ${unit} instead of ${expected}`
  })

/** Reads a file of exactly `view.length` bytes into `view`. */
const readInto = async (url: URL, view: Uint8Array): Promise<void> => {
  const file = await open(url).catch(fails("open", url))
  try {
    const { size } = await file.stat().catch(fails("stat", url))
    if (size !== view.length) throw wrongLength(url, size, view.length, "bytes")
    for (let end = 0; end < view.length; ) {
      const { bytesRead } = await file.read(view, end, view.length - end, end).catch(fails("read", url))
      if (bytesRead === 0) throw wrongLength(url, end, view.length, "bytes")
      end += bytesRead
    }
  } finally {
    await file.close().catch(fails("close", url))
  }
}

const packInSlices = async (lines: ReadonlyArray<string>, vocabulary: Vocabulary): Promise<void> => {
  for (let from = 0; from < lines.length; from += PIECES_A_SLICE) {
    packVocabulary(lines, from, Math.min(from + PIECES_A_SLICE, lines.length), vocabulary)
    await setImmediate()
  }
}

const load = async (): Promise<StaticTable> => {
  const text = await readFile(vocabularyFile, "utf8").catch(fails("read", vocabularyFile))
  const lines = text.trimEnd().split("\n")
  if (lines.length !== PIECES) throw wrongLength(vocabularyFile, lines.length, PIECES, "lines")

  // Every length but the last is a multiple of 4, so every view starts aligned.
  const lengths = [CODE_BYTES, SCALE_BYTES, 4 * (PIECES + 1), 4 * HEAD_SLOTS, 4 * TAIL_SLOTS, 4, 2 * text.length]
  const buffer = new SharedArrayBuffer(lengths.reduce((sum, length) => sum + length, 0))
  const offsets = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0))
  const table: StaticTable = {
    dimensions: STATIC_DIMENSIONS,
    codes: new Int8Array(buffer, offsets[0], CODE_BYTES),
    scales: new Float32Array(buffer, offsets[1], PIECES),
    vocabulary: {
      starts: new Uint32Array(buffer, offsets[2], PIECES + 1),
      heads: new Uint32Array(buffer, offsets[3], HEAD_SLOTS),
      tails: new Uint32Array(buffer, offsets[4], TAIL_SLOTS),
      longest: new Uint32Array(buffer, offsets[5], 1),
      units: new Uint16Array(buffer, offsets[6], text.length)
    }
  }
  await Promise.all([
    readInto(codesFile, new Uint8Array(buffer, offsets[0], CODE_BYTES)),
    readInto(scalesFile, new Uint8Array(buffer, offsets[1], SCALE_BYTES)),
    packInSlices(lines, table.vocabulary)
  ])
  return table
}

let loading: Promise<StaticTable> | undefined

/** The table, read by the first call; a failed read is tried again by the next. */
export const staticTable = (): Promise<StaticTable> => {
  loading ??= load().catch((error) => {
    loading = undefined
    throw error
  })
  return loading
}
