/**
 * Folders that the Python package binary-semantic-cache wrote: version 3 (`save_mmap_v3`) and version 2 (`save_mmap`).
 *
 * Everything in such a folder may be hostile: files are read whole, held to their checksums and lengths, and
 * `responses.pkl` is read without executing anything.
 */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import type * as Effect from "effect/Effect"
import { ImportInvalid, InvalidParameter, type SabineError } from "../errors.ts"
import { abortable } from "../lift.ts"
import { forEachSliced, mapSliced } from "../slice.ts"
import { fails } from "../store/file-failure.ts"
import { PickleRefused, type Unpickled, unpickle } from "./pickle.ts"

/** One entry as the cache kept it. */
export interface ImportedEntry {
  /** 32 bytes: bit `i` of the code is bit `i % 8` of byte `i / 8`, as `codes: "published"` has it. */
  readonly code: Uint8Array
  /** Milliseconds since 1970, whole seconds in version 3. */
  readonly createdAt: number
  /** Milliseconds since 1970. Version 2 does not keep it: the same as `createdAt`. */
  readonly lastUsedAt: number
  /** How often the entry was found. */
  readonly uses: number
  /** None in Python is `null`. */
  readonly response: string | null
}

export interface ImportedCache {
  readonly version: 2 | 3
  /** Least similarity that the cache took for a hit, 0..1. */
  readonly threshold: number
  /** In the order of the files. */
  readonly entries: ReadonlyArray<ImportedEntry>
}

const HEADER = "header.json"
const RESPONSES = "responses.pkl"
const MOST_HEADER_BYTES = 2 ** 20
const MOST_ENTRIES = 2 ** 31 - 1
/** Bytes that are hashed at once, in some tenths of a millisecond. */
const HASHED_BYTES = 1 << 18
const CODE_BYTES = 32
/** `<4Q3I`: the code, created, last used, times used. */
const RECORD_BYTES = 44
/** What times of version 3 are counted from: 2020-01-01T00:00:00Z. */
const EPOCH_MS = 1_577_836_800_000
/** Times beyond this are no dates in JavaScript. */
const MOST_MS = 8.64e15

type Header = Readonly<Record<string, unknown>>

/**
 * Reads a folder of binary-semantic-cache, version 2 or 3. Codes have 256 bits and responses are strings or None.
 * Fails with `ImportInvalid` when a file is missing, damaged or holds anything else, with `StorageFailure` when the
 * system refuses to read. Nothing of the folder is executed or changed.
 */
export const readBinarySemanticCache = (folder: string): Effect.Effect<ImportedCache, SabineError> =>
  abortable((signal) => read(folder, signal))

const read = async (folder: string, signal: AbortSignal): Promise<ImportedCache> => {
  if (typeof folder !== "string" || folder === "" || folder.includes("\0")) {
    throw new InvalidParameter({ parameter: "folder", reason: "wanted the path of a folder" })
  }
  const header = await headerOf(folder)
  const invalid = (field: string, reason: string) => new ImportInvalid({ path: join(folder, HEADER), field, reason })
  const { version, code_bits, n_entries, threshold } = header
  if (version !== 2 && version !== 3) throw invalid("version", "wanted 2 or 3")
  if (code_bits !== 256) throw invalid("code_bits", "wanted 256")
  if (!isWithin(n_entries, 0, MOST_ENTRIES)) throw invalid("n_entries", "wanted a whole number")
  if (!(typeof threshold === "number" && threshold >= 0 && threshold <= 1)) throw invalid("threshold", "wanted 0 to 1")
  const parts =
    version === 3
      ? await recordsOf(folder, header, n_entries, signal)
      : await arraysOf(folder, header, n_entries, signal)
  const entries = await mapSliced(parts.entries.length, signal, (i) => ({
    ...parts.entries[i]!,
    response: parts.responses[i] ?? null
  }))
  return { version, threshold, entries }
}

type Bare = Omit<ImportedEntry, "response">

interface Parts {
  readonly entries: ReadonlyArray<Bare>
  readonly responses: Unpickled
}

/** The files of version 3. */
const recordsOf = async (folder: string, header: Header, count: number, signal: AbortSignal): Promise<Parts> => {
  const wanted = { entry_size: RECORD_BYTES, endian: "little", checksum_algo: "sha256" }
  for (const [field, value] of Object.entries(wanted)) {
    if (header[field] === value) continue
    throw new ImportInvalid({ path: join(folder, HEADER), field, reason: `wanted ${value}` })
  }
  const bytes = await checked(folder, "entries.bin", header["entries_checksum"], signal, count * RECORD_BYTES)
  const view = viewOf(bytes)
  const entry = (at: number): Bare => ({
    code: bytes.slice(at, at + CODE_BYTES),
    createdAt: EPOCH_MS + 1000 * view.getUint32(at + CODE_BYTES, true),
    lastUsedAt: EPOCH_MS + 1000 * view.getUint32(at + CODE_BYTES + 4, true),
    uses: view.getUint32(at + CODE_BYTES + 8, true)
  })
  const entries = await mapSliced(count, signal, (i) => entry(i * RECORD_BYTES))
  return { entries, responses: await responsesOf(folder, header["responses_checksum"], count, signal) }
}

/** The files of version 2: one array a column. */
const arraysOf = async (folder: string, header: Header, count: number, signal: AbortSignal): Promise<Parts> => {
  if (header["n_words"] !== 4) {
    throw new ImportInvalid({ path: join(folder, HEADER), field: "n_words", reason: "wanted 4" })
  }
  const checksums = isRecord(header["checksums"]) ? header["checksums"] : {}
  const column = (name: string, bytes: number) => checked(folder, `${name}.bin`, checksums[name], signal, count * bytes)
  const codes = await column("codes", CODE_BYTES)
  const created = viewOf(await column("created_at", 8))
  const uses = viewOf(await column("access_count", 4))
  const invalid = (name: string, i: number, reason: string) =>
    new ImportInvalid({ path: join(folder, `${name}.bin`), field: `entry ${i}`, reason })
  const entry = (i: number): Bare => {
    const at = Math.round(1000 * created.getFloat64(i * 8, true))
    if (!(Math.abs(at) <= MOST_MS)) throw invalid("created_at", i, "not a time")
    const used = uses.getInt32(i * 4, true)
    if (used < 0) throw invalid("access_count", i, "below 0")
    return { code: codes.slice(i * CODE_BYTES, (i + 1) * CODE_BYTES), createdAt: at, lastUsedAt: at, uses: used }
  }
  const entries = await mapSliced(count, signal, entry)
  return { entries, responses: await responsesOf(folder, checksums["responses"], count, signal) }
}

const responsesOf = async (
  folder: string,
  checksum: unknown,
  count: number,
  signal: AbortSignal
): Promise<Unpickled> => {
  const bytes = await checked(folder, RESPONSES, checksum, signal)
  const path = join(folder, RESPONSES)
  try {
    const responses = await unpickle(bytes, signal)
    if (responses.length <= count) return responses
    throw new ImportInvalid({ path, field: "length", reason: `${responses.length} responses of ${count} entries` })
  } catch (error) {
    if (!(error instanceof PickleRefused)) throw error
    throw new ImportInvalid({ path, field: `byte ${error.at}`, reason: error.message })
  }
}

const headerOf = async (folder: string): Promise<Header> => {
  const path = join(folder, HEADER)
  const bytes = await bytesOf(path, (size) => size <= MOST_HEADER_BYTES)
  try {
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    if (isRecord(header)) return header
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error
  }
  throw new ImportInvalid({ path, field: "header", reason: "not a JSON object" })
}

/** A file that has the length and the SHA-256 that the header says. */
const checked = async (
  folder: string,
  name: string,
  checksum: unknown,
  signal: AbortSignal,
  length?: number
): Promise<Uint8Array> => {
  const path = join(folder, name)
  const bytes = await bytesOf(path, (size) => length === undefined || size === length)
  const found = await sha256(bytes, signal)
  if (found === checksum) return bytes
  throw new ImportInvalid({ path, field: "checksum", reason: `wanted ${String(checksum).slice(0, 64)}, got ${found}` })
}

const sha256 = async (bytes: Uint8Array, signal: AbortSignal): Promise<string> => {
  const hash = createHash("sha256")
  const parts = Math.ceil(bytes.length / HASHED_BYTES)
  await forEachSliced(parts, signal, (i) => hash.update(bytes.subarray(i * HASHED_BYTES, (i + 1) * HASHED_BYTES)), 1)
  return hash.digest("hex")
}

/** A plain file of a size that fits: neither a pipe that never ends nor gigabytes in place of a header. */
const bytesOf = async (path: string, fits: (size: number) => boolean): Promise<Uint8Array> => {
  // Without waiting: opening a pipe that nobody writes to would not return.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") return fails("open", path)(cause)
    throw new ImportInvalid({ path, field: "file", reason: "is missing" })
  })
  try {
    const stat = await file.stat().catch(fails("stat", path))
    if (!stat.isFile()) throw new ImportInvalid({ path, field: "file", reason: "is no file" })
    if (!fits(stat.size)) throw new ImportInvalid({ path, field: "length", reason: `${stat.size} bytes` })
    const bytes = await file.readFile().catch(fails("read", path))
    if (fits(bytes.length)) return bytes
    throw new ImportInvalid({ path, field: "length", reason: `${bytes.length} bytes` })
  } finally {
    await file.close().catch(fails("close", path))
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

const isWithin = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && Number(value) >= least && Number(value) <= most

const isRecord = (value: unknown): value is Header =>
  typeof value === "object" && value !== null && !Array.isArray(value)
