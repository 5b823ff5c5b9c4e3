/**
 * What the write-ahead log of a file holds, from its bytes alone. A connection of SQLite may take the log away when it
 * closes, that of somebody else too, where nothing of it is left to be moved. Nothing is changed here and nothing locked:
 * of a log that is written meanwhile there may be more than is found.
 */
import { closeSync, openSync, readSync } from "node:fs"

/** The header: which order the words of checksums are in, bytes of a page, salts and checksum. */
const HEADER = 32
const MAGIC = 0x377f0682
const [PAGE_SIZE, SALTS, HEADER_SUM] = [8, 16, 24]
/** That of a frame, before its page: number of the page, pages of the file at the end of a transaction, salts, checksum. */
const FRAME_HEADER = 24
const [PAGES, FRAME_SALTS, FRAME_SUM] = [4, 8, 16]
/** Bytes of frames that are read at once, at least. */
const STRETCH = 1 << 18
/** Of the file: what it begins with, and the version of its tables. */
const FILE_MAGIC = "SQLite format 3\0"
const USER_VERSION = 60

type Sum = readonly [number, number]

/** Checksum of SQLite over words, after that of what is before them. */
const sumOf = (bytes: Buffer, isLittleEndian: boolean, [first, second]: Sum): Sum => {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let [a, b] = [first | 0, second | 0]
  for (let at = 0; at < bytes.length; at += 8) {
    a = (a + words.getInt32(at, isLittleEndian) + b) | 0
    b = (b + words.getInt32(at + 4, isLittleEndian) + a) | 0
  }
  return [a, b]
}
const isSum = (bytes: Buffer, at: number, [a, b]: Sum): boolean =>
  bytes.readInt32BE(at) === a && bytes.readInt32BE(at + 4) === b

/** Fills `bytes` from a place of a file, or as many of them as there are; how many. */
const fillFrom = (file: number, bytes: Buffer, at: number): number => {
  let had = 0
  while (had < bytes.length) {
    const read = readSync(file, bytes, had, bytes.length - had, at + had)
    if (read === 0) break
    had += read
  }
  return had
}
/** Fills `bytes`; false where the file ends before. */
const readAt = (file: number, bytes: Buffer, at: number): boolean => fillFrom(file, bytes, at) === bytes.length

/** Uses a file; undefined when there is none. */
const reading = <A>(path: string, use: (file: number) => A): A | undefined => {
  let file: number
  try {
    file = openSync(path, "r")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    return undefined
  }
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

interface Wal {
  readonly header: Buffer
  /** Bytes of a frame: its header and a page. */
  readonly frameBytes: number
  readonly isLittleEndian: boolean
}

/** The log as its header says; undefined where that says nothing. */
const walOf = (file: number): Wal | undefined => {
  const header = Buffer.alloc(HEADER)
  if (!readAt(file, header, 0)) return undefined
  const magic = header.readUInt32BE(0)
  const pageBytes = header.readUInt32BE(PAGE_SIZE)
  const isPage = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0
  if ((magic & ~1) >>> 0 !== MAGIC || !isPage) return undefined
  return { header, frameBytes: FRAME_HEADER + pageBytes, isLittleEndian: magic === MAGIC }
}

/** Whether a frame at a place is of the log as it began last: those of before lie behind, with other salts. */
const hasSalts = ({ header }: Wal, bytes: Buffer, at = 0): boolean =>
  header.compare(bytes, at + FRAME_SALTS, at + FRAME_SALTS + 8, SALTS, SALTS + 8) === 0

/** Transactions of a log that ended, in order: the first page of the file where they wrote it. Checksums go on from frame to frame. */
function* committed(file: number): Generator<Buffer | undefined> {
  const wal = walOf(file)
  if (wal === undefined) return
  const { header, frameBytes, isLittleEndian } = wal
  let sum = sumOf(header.subarray(0, HEADER_SUM), isLittleEndian, [0, 0])
  if (!isSum(header, HEADER_SUM, sum)) return
  const frame = Buffer.alloc(frameBytes)
  let first: Buffer | undefined
  for (let at = HEADER; readAt(file, frame, at) && hasSalts(wal, frame); at += frameBytes) {
    const page = frame.subarray(FRAME_HEADER)
    sum = sumOf(page, isLittleEndian, sumOf(frame.subarray(0, FRAME_SALTS), isLittleEndian, sum))
    const number = frame.readUInt32BE(0)
    if (number === 0 || !isSum(frame, FRAME_SUM, sum)) return
    if (number === 1) first = Buffer.from(page)
    if (frame.readUInt32BE(PAGES) > 0) {
      yield first
      first = undefined
    }
  }
}

/**
 * Bytes of an open log of some size that were written since it began last. Frames of before and zeros come after those
 * that have its salts: checksums are not looked at, and what was rolled back may count.
 */
export const writtenBytes = (file: number, size: number): number => {
  const wal = walOf(file)
  if (wal === undefined) return 0
  const { frameBytes } = wal
  const frame = Buffer.alloc(FRAME_HEADER)
  let written = 0
  for (let least = 0, most = Math.floor((size - HEADER) / frameBytes); least < most; ) {
    const middle = least + Math.ceil((most - least) / 2)
    if (readAt(file, frame, HEADER + (middle - 1) * frameBytes) && hasSalts(wal, frame)) least = written = middle
    else most = middle - 1
  }
  return HEADER + written * frameBytes
}

/** Whether there are writes that only the write-ahead log of a file has. */
export const hasWrites = (path: string): boolean =>
  reading(`${path}-wal`, (file) => committed(file).next().done === false) ?? false

/** Highest version that a first page in a log says, of transactions that did not end and damaged ones too; 0 for none. */
const highestSaid = (file: number): number => {
  const wal = walOf(file)
  if (wal === undefined) return 0
  const { frameBytes } = wal
  const bytes = Buffer.alloc(frameBytes * Math.ceil(STRETCH / frameBytes))
  let highest = 0
  for (let from = HEADER; ; ) {
    const whole = Math.floor(fillFrom(file, bytes, from) / frameBytes) * frameBytes
    for (let at = 0; at < whole; at += frameBytes) {
      if (!hasSalts(wal, bytes, at)) return highest
      if (bytes.readUInt32BE(at) !== 1) continue
      highest = Math.max(highest, bytes.readInt32BE(at + FRAME_HEADER + USER_VERSION))
    }
    if (whole < bytes.length) return highest
    from += whole
  }
}

/** The version that the log of a file says; undefined where it says none. */
const versionInLog = (file: number): number | undefined => {
  let newest: number | undefined
  for (const first of committed(file)) newest = first?.readInt32BE(USER_VERSION) ?? newest
  return newest
}

/** The version that a file says without its log; 0 where it is no database. */
const versionInFile = (file: number): number => {
  const start = Buffer.alloc(USER_VERSION + 4)
  const isDatabase = readAt(file, start, 0) && start.toString("latin1", 0, FILE_MAGIC.length) === FILE_MAGIC
  return isDatabase ? start.readInt32BE(USER_VERSION) : 0
}

/**
 * Version of the tables of a file, its write-ahead log included, where it is newer than some version; undefined where it
 * is not. Adding up checksums takes ten times as long as reading, and is done only where something says a newer one.
 */
export const newerLeft = (path: string, newest: number): number | undefined => {
  const inFile = reading(path, versionInFile) ?? 0
  const said = reading(`${path}-wal`, highestSaid) ?? 0
  if (Math.max(inFile, said) <= newest) return undefined
  const version = reading(`${path}-wal`, versionInLog) ?? inFile
  return version > newest ? version : undefined
}
