/** What can be used of an image that is damaged. */
import { type FileHandle, open } from "node:fs/promises"
import { ImageInvalid } from "../errors.ts"
import { makeEncoder, UNMADE } from "../index/encoder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { damagedWhere, fails } from "./file-failure.ts"
import type { GraphOptions } from "./graph-columns.ts"
import { BadBlocks } from "./image/bad-blocks.ts"
import { type CheckedHeader, checkHeader } from "./image/consistency.ts"
import { type Description, decodeDescription, MAX_DESCRIPTION_BYTES } from "./image/description.ts"
import { decodeHeader, type ImageHeader } from "./image/header.ts"
import { readIntact } from "./image/intact.ts"
import { IntactRecords } from "./image/intact-records.ts"
import { type Invalid, invalidImage } from "./image/invalid.ts"
import { memoryOf } from "./image/memory.ts"
import { type Extent, HEADER_BYTES, type Range } from "./image/ranges.ts"
import { keepSurvivors, type RowParts } from "./image/survivors.ts"
import { readVectored } from "./image/vectored.ts"
import type { ImageIdentity } from "./image.ts"
import { codeColumns, type FieldTypes, parameterCount } from "./layout.ts"
import { Store } from "./store.ts"
import { packedCount } from "./tags.ts"

/** The rows of a damaged image that are whole, and what is left of the others. */
interface SalvagedStore {
  /** Without lists and graph; its key index is made anew. */
  readonly store: Store
  readonly identity: ImageIdentity
  readonly meta: { readonly generation: number; readonly watermark: number }
  readonly graph: GraphOptions | undefined
  /** Rows that were live when it was written. */
  readonly live: number
  readonly parts: ReadonlyArray<RowParts>
  /** Whether the codes have to be made again from the vectors: until then nothing may be searched. */
  readonly needsCodes: boolean
}

interface SalvagedImage {
  /** Everything that is wrong with the image. */
  readonly faults: ReadonlyArray<ImageInvalid>
  /** Absent when the header does not hold, or no block can be told from a damaged one. */
  readonly salvaged?: SalvagedStore
}

/**
 * Reads what holds of an image. `fields` stand in for those that a damaged description does not tell. Fails with
 * `ImageInvalid` when the image is of a newer version.
 */
export const salvageImage = async (kernels: Kernels, path: string, fields?: FieldTypes): Promise<SalvagedImage> => {
  const faults: Array<ImageInvalid> = []
  const file = await open(path).catch(damagedWhere(undefined, path))
  if (file === undefined) {
    faults.push(new ImageInvalid({ path, field: "length", from: 0, to: 0, reason: "the disk cannot give it back" }))
    return { faults }
  }
  try {
    const salvaged = await readSalvaged({ kernels, path, file, invalid: invalidImage(path), faults }, fields)
    return { faults, salvaged }
  } catch (error) {
    if (!(error instanceof ImageInvalid) || error.field === "version") throw error
    faults.push(error)
    return { faults }
  } finally {
    await file.close().catch(fails("close", path))
  }
}

interface Damaged {
  readonly kernels: Kernels
  readonly path: string
  readonly file: FileHandle
  readonly invalid: Invalid
  readonly faults: Array<ImageInvalid>
}

/** As many of the bytes as there are. */
const bytesThere = async ({ file, path }: Damaged, { offset, bytes }: Extent): Promise<Buffer> => {
  const buffer = Buffer.alloc(bytes)
  const done = await readVectored(file, [buffer], offset).catch(damagedWhere(0, path))
  return buffer.subarray(0, done)
}

const readSalvaged = async (image: Damaged, fields: FieldTypes | undefined): Promise<SalvagedStore> => {
  const { kernels, file, invalid, faults } = image
  const header = decodeHeader(kernels, await bytesThere(image, { offset: 0, bytes: HEADER_BYTES }), invalid)
  const description = await descriptionOf(image, header, fields)
  // The header says how long the file was; what is missing of it fails block by block.
  const { checksumsOffset: offset, checksumsBytes: bytes } = header
  const checked = checkHeader(kernels, header, description, offset + bytes, invalid)
  const { size } = await file.stat().catch(fails("stat", image.path))
  if (size !== offset + bytes) {
    faults.push(
      invalid("length", Math.min(size, offset + bytes), Math.max(size, offset + bytes), `the file has ${size} bytes`)
    )
  }
  const table = await bytesThere(image, { offset, bytes })
  if (table.length < bytes || kernels.crc32c(table) !== header.checksumsChecksum) {
    faults.push(invalid("checksum", offset, offset + bytes, "the checksums are damaged"))
  }
  // A damaged checksum makes its block look damaged, never a damaged block look whole.
  const words = Math.floor(table.length / 4)
  const checksums = new Uint32Array(Uint8Array.from(table.subarray(0, 4 * words)).buffer)
  return rowsOf(image, header, checked, checksums)
}

const descriptionOf = async (
  image: Damaged,
  { descriptionOffset: offset, descriptionBytes: bytes, descriptionChecksum }: ImageHeader,
  fields: FieldTypes | undefined
): Promise<Description> => {
  const { kernels, invalid, faults } = image
  const found = await bytesThere(image, { offset, bytes: Math.min(bytes, MAX_DESCRIPTION_BYTES) })
  if (found.length === bytes && kernels.crc32c(found) === descriptionChecksum) {
    return decodeDescription(found, { offset, bytes }, invalid)
  }
  faults.push(invalid("checksum", offset, offset + bytes, "the description is damaged"))
  // Fields that are not those of the columns do not get past the hash of the layout.
  return fields === undefined ? {} : { fields }
}

const rowsOf = async (
  image: Damaged,
  header: ImageHeader,
  { plan, shape, encoder, graph }: CheckedHeader,
  checksums: Uint32Array
): Promise<SalvagedStore> => {
  const { kernels, path, file, invalid, faults } = image
  const parameters = new Float32Array(new SharedArrayBuffer(plan.extents.encoder.bytes))
  const records = new SharedArrayBuffer(plan.extents.records.bytes)
  const tags = new SharedArrayBuffer(plan.extents.tags.bytes)
  const store = new Store(kernels, shape, { ...encoder, parameters })
  store.extend(header.segments)
  const addressesOf = (segment: number) => store.segments[segment]!.records
  const memory = (range: Range): Uint8Array | undefined => {
    switch (range.section) {
      case "records":
        return new Uint8Array(records)
      case "tags":
        return new Uint8Array(tags)
      case "segments":
      case "encoder":
        return memoryOf(store, addressesOf, range)
      default:
        // Keys, lists and the graph are made again from the rows.
        return undefined
    }
  }
  const damages = await readIntact(
    kernels,
    file,
    { path, ranges: plan.ranges, memoryOf: memory, checksums },
    invalid,
    faults
  )
  const isWhole = (section: Range["section"]) => !damages.some(({ range }) => range.section === section)
  const bad = new BadBlocks(damages, shape)
  const hasEncoder = isWhole("encoder")
  const hasTags = isWhole("tags") && packedCount(new Uint8Array(tags)) === header.tagCount
  if (records.byteLength > 0) store.records.adoptPacked(records, records.byteLength)
  if (hasTags && tags.byteLength > 0) store.tags.adoptPacked(tags, header.tagCount)
  store.directory.setRows(header.rows)
  const kept = await keepSurvivors({
    store,
    rows: header.rows,
    live: header.live,
    bad,
    records: new IntactRecords(records, damages),
    hasTags,
    hasEncoder
  })
  store.adoptFree(kept.free)
  store.directory.countLive(kept.live)
  if (kept.isNamespaced) store.directory.setNamespaced()
  const codesHold = hasEncoder && !codeColumns(shape.metric, shape.pq).some(({ name }) => bad.hasAny(name))
  if (!hasEncoder) forgetEncoder(store)
  return {
    store,
    identity: { shape, encoder, embedder: header.embedder },
    meta: { generation: header.generation, watermark: header.watermark },
    graph,
    live: header.live,
    parts: kept.parts,
    needsCodes: !codesHold && shape.precision !== "none"
  }
}

/** Puts the encoder of a new store in place of one that is damaged. */
const forgetEncoder = (store: Store): void => {
  const { kernels, codes, shape } = store
  const { kind, seed } = codes.encoder
  const unmade = {
    id: UNMADE,
    kind: kind === "itq" ? ("projection" as const) : kind,
    seed,
    dimensions: shape.dimensions,
    factorScale: 1,
    parameters: new Float32Array(new SharedArrayBuffer(4 * parameterCount(shape.dimensions, shape.pq)))
  }
  store.switchCodes(makeEncoder(kernels, unmade), codes.columns)
}
