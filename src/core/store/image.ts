/**
 * A store as one file: written whole, read in bulk straight into the memory that searches use.
 * docs/format.md is the byte map.
 */
import { type FileHandle, open } from "node:fs/promises"
import { InvalidParameter } from "../errors.ts"
import { ENCODER_KINDS, type EncoderIdentity } from "../index/encoder.ts"
import type { Kernels } from "../kernels/contract.ts"
import { codeComponents } from "../kernels/pq.ts"
import { forEachSliced } from "../slice.ts"
import { fails } from "./file-failure.ts"
import type { GraphOptions } from "./graph-columns.ts"
import { captureStore } from "./image/capture.ts"
import { type CheckedHeader, checkHeader } from "./image/consistency.ts"
import { checkContents } from "./image/contents.ts"
import { type Description, decodeDescription, MAX_DESCRIPTION_BYTES } from "./image/description.ts"
import { adoptGraph, graphFields, graphMemory, newGraphImage } from "./image/graph.ts"
import {
  decodeHeader,
  encodeHeader,
  extentFields,
  type ImageHeader,
  invalidField,
  MAX_EMBEDDER_BYTES
} from "./image/header.ts"
import { type Invalid, invalidImage } from "./image/invalid.ts"
import { listsMemory, memoryOf } from "./image/memory.ts"
import { type Extent, HEADER_BYTES, layoutHash, type Range } from "./image/ranges.ts"
import { readBody } from "./image/read-body.ts"
import { readVectored, writeVectored } from "./image/vectored.ts"
import { writeBody } from "./image/write-body.ts"
import { METRICS, PRECISIONS, ROTATIONS, SLOTS } from "./layout.ts"
import { centroidBytes } from "./list-columns.ts"
import type { ListWriter } from "./lists.ts"
import { isLive, type StoreShape } from "./memory.ts"
import { replaceFile } from "./replace-file.ts"
import { claimEpoch } from "./searchable.ts"
import { Store } from "./store.ts"
import { packedCount } from "./tags.ts"

/** What an image says of its store beside what is in it. */
interface ImageMeta {
  /** Number of the image: higher is newer. */
  readonly generation: number
  /** Identity of what made the vectors; empty where the caller did. */
  readonly embedder: string
  /** The graph that is wanted of the store, if any. */
  readonly graph?: GraphOptions | undefined
  /** Number of the newest frame of the log that the store holds. Default 0: none. */
  readonly watermark?: number | undefined
}

interface SaveOptions {
  /** What the image at `path` is called afterwards; without it, it is replaced. */
  readonly previous?: string | undefined
  /** Runs work while nobody writes to the store. By default nobody does anyway. */
  readonly exclusively?: <A>(work: () => Promise<A>) => Promise<A>
  /** Asked while nobody writes: number of the newest frame of the log that the store holds. */
  readonly watermark?: () => number
}

/**
 * Writes the store to `path` in one step: until it is whole, `path` names what it named before. Searches go on, and
 * writes do after the moment that the image is of.
 */
export const saveImage = async (
  store: Store,
  meta: ImageMeta,
  path: string,
  { previous, exclusively = (work) => work(), watermark }: SaveOptions = {}
): Promise<void> => {
  if (Buffer.byteLength(meta.embedder) > MAX_EMBEDDER_BYTES) {
    throw new InvalidParameter({ parameter: "embedder", reason: `its identity is over ${MAX_EMBEDDER_BYTES} bytes` })
  }
  const { kernels, directory, reader } = store
  const writeTo = async (file: FileHandle): Promise<void> => {
    const write = (blocks: ReadonlyArray<Uint8Array>, position: number) =>
      writeVectored(file, blocks, position).catch(fails("write", path))
    const captured = await exclusively(async () => {
      const capture = await captureStore(store)
      const checksums = new Uint32Array(capture.plan.checksumCount)
      await writeBody(kernels, { ...capture.now, write, checksums })
      return { ...capture, checksums, header: headerOf(store), watermark: watermark?.() ?? meta.watermark ?? 0 }
    })
    const { plan, description, graph, tagCount, checksums, header } = captured
    await writeBody(kernels, { ...captured.later, write, checksums })
    const table = new Uint8Array(checksums.buffer)
    await write([description, table], plan.extents.description.offset)
    const written = {
      ...meta,
      watermark: captured.watermark,
      ...extentFields(plan.extents),
      ...graphFields(meta.graph, graph),
      checksumsChecksum: kernels.crc32c(table),
      descriptionChecksum: kernels.crc32c(description),
      tagCount
    }
    await write([encodeHeader(kernels, { ...written, ...header })], 0)
  }
  const claim = claimEpoch(store)
  try {
    await replaceFile(path, writeTo, previous)
  } finally {
    directory.release(claim, reader)
  }
}

/** What the header says of the store itself. */
const headerOf = ({ kernels, shape, directory, keys, codes, lists }: Store) => {
  return {
    layoutHash: layoutHash(kernels, shape),
    dimensions: shape.dimensions,
    metric: METRICS.indexOf(shape.metric),
    precision: PRECISIONS.indexOf(shape.precision),
    lists: lists?.count ?? 0,
    listBlocks: lists?.blocks ?? 0,
    rows: directory.rows,
    live: directory.live,
    segments: Math.ceil(directory.rows / SLOTS),
    keyCapacity: keys.current.length,
    keyCount: keys.size,
    encoderId: codes.encoder.id,
    encoderKind: ENCODER_KINDS.indexOf(codes.encoder.kind),
    encoderChecksum: codes.encoder.checksum,
    encoderSeed: codes.encoder.seed,
    factorScale: codes.encoder.factorScale,
    rotation: ROTATIONS.indexOf(shape.pq?.rotation ?? "none"),
    rotated: codes.encoder.rotated ?? 0,
    subspaces: shape.pq?.m ?? 0,
    subspaceBits: shape.pq?.bits ?? 0,
    distortion: codes.encoder.training?.distortion ?? 0,
    trainingRows: codes.encoder.training?.rows ?? 0
  }
}

/** What an image is of, known before its body is read. */
export interface ImageIdentity {
  readonly shape: StoreShape
  readonly encoder: EncoderIdentity
  readonly embedder: string
}

export interface LoadedImage {
  readonly store: Store
  readonly meta: ImageMeta
  /** The graph that is wanted of the store, whether or not it has one. */
  readonly graph: GraphOptions | undefined
}

/**
 * Reads an image into memory of its own, on request without its lists and graph, which can be made anew. Fails with
 * `ImageInvalid`, or with what `accept` throws when the image is not the one wanted, and then leaves nothing behind.
 */
export const loadImage = async (
  kernels: Kernels,
  path: string,
  accept: (identity: ImageIdentity) => void = () => undefined,
  withIndexes = true
): Promise<LoadedImage> => {
  const file = await open(path).catch(fails("open", path))
  try {
    const { size } = await file.stat().catch(fails("stat", path))
    const image: OpenImage = { kernels, path, file, invalid: invalidImage(path) }
    const header = decodeHeader(kernels, await readBytes(image, 0, Math.min(size, HEADER_BYTES)), image.invalid)
    const description = await readDescription(image, header, size)
    const checked = checkHeader(kernels, header, description, size, image.invalid)
    accept({ shape: checked.shape, encoder: checked.encoder, embedder: header.embedder })
    const store = await readStore(image, header, checked, withIndexes)
    if (withIndexes && description.calibration !== undefined) store.useCalibration(description.calibration)
    const { generation, embedder, watermark } = header
    return { store, meta: { generation, embedder, watermark }, graph: checked.graph }
  } finally {
    await file.close().catch(fails("close", path))
  }
}

interface OpenImage {
  readonly kernels: Kernels
  readonly path: string
  readonly file: FileHandle
  readonly invalid: Invalid
}

const readBytes = async ({ file, path, invalid }: OpenImage, offset: number, length: number): Promise<Buffer> => {
  const bytes = Buffer.alloc(length)
  const done = await readVectored(file, [bytes], offset).catch(fails("read", path))
  if (done < length) throw invalid("length", offset + done, offset + length, "the file ends there")
  return bytes
}

const readDescription = async (image: OpenImage, header: ImageHeader, fileBytes: number): Promise<Description> => {
  const { kernels, invalid } = image
  const extent = { offset: header.descriptionOffset, bytes: header.descriptionBytes }
  if (extent.bytes > MAX_DESCRIPTION_BYTES) throw invalidField(invalid, "descriptionBytes", "is out of range")
  const end = extent.offset + extent.bytes
  if (end > fileBytes) {
    const wanted = Math.max(end, header.checksumsOffset + header.checksumsBytes)
    throw invalid("length", fileBytes, wanted, `the file has ${fileBytes} bytes instead of ${wanted}`)
  }
  const bytes = await readBytes(image, extent.offset, extent.bytes)
  if (kernels.crc32c(bytes) !== header.descriptionChecksum) {
    throw invalid("checksum", extent.offset, end, "the description is damaged")
  }
  return decodeDescription(bytes, extent, invalid)
}

const readStore = async (
  image: OpenImage,
  header: ImageHeader,
  checked: CheckedHeader,
  withIndexes: boolean
): Promise<Store> => {
  const { kernels, path, file, invalid } = image
  const { plan, shape } = checked
  const { offset, bytes } = plan.extents.checksums
  const table = await readBytes(image, offset, bytes)
  if (kernels.crc32c(table) !== header.checksumsChecksum) {
    throw invalid("checksum", offset, offset + bytes, "the checksums are damaged")
  }
  const parameters = new Float32Array(new SharedArrayBuffer(plan.extents.encoder.bytes))
  const keyTable = new Uint32Array(new SharedArrayBuffer(plan.extents.keys.bytes))
  const records = new SharedArrayBuffer(plan.extents.records.bytes)
  const tags = new SharedArrayBuffer(plan.extents.tags.bytes)
  // Both are filled, so huge pages save faults and waste nothing.
  for (const buffer of [keyTable.buffer, records]) kernels.adviseHugePages(new Uint8Array(buffer))
  const store = new Store(kernels, shape, { ...checked.encoder, parameters }, keyTable, header.keyCount)
  store.extend(header.segments)
  store.useHugePages(header.rows)
  const ofLists = centroidBytes(codeComponents(store.columns.layout), header.lists)
  const lists = withIndexes && header.lists > 0 ? store.newLists(new SharedArrayBuffer(ofLists)) : undefined
  lists?.allocate(header.listBlocks)
  const graph = withIndexes ? newGraphImage(kernels, header, checked, invalid) : undefined
  const addressesOf = (segment: number) => store.segments[segment]!.records
  const target = {
    path,
    memoryOf: (range: Range) => {
      if (range.section === "lists") return listsMemory(kernels, lists!.buffers, range)
      if (range.section === "tags") return new Uint8Array(tags)
      if (range.section === "graph" && graph !== undefined) return graphMemory(graph, range)
      return range.section === "records" ? new Uint8Array(records) : memoryOf(store, addressesOf, range)
    },
    checksums: new Uint32Array(table.buffer, table.byteOffset, plan.checksumCount)
  }
  const isCodes = (range: Range) => range.section === "segments" && range.buffer === "codes"
  // Without the addon a graph is left alone: searches scan.
  const isWanted = ({ section }: Range) =>
    section === "graph" ? graph !== undefined : section !== "lists" || lists !== undefined
  const read = (ranges: ReadonlyArray<Range>) => readBody(kernels, file, { ...target, ranges }, invalid)
  await read(plan.ranges.filter((range) => !isCodes(range) && isWanted(range)))
  if (kernels.crc32c(new Uint8Array(parameters.buffer)) !== header.encoderChecksum) {
    throw invalidField(invalid, "encoderChecksum", "is not that of the parameters")
  }
  if (records.byteLength > 0) store.records.adoptPacked(records, records.byteLength)
  const contents = { segments: store.segments, keys: keyTable, records: new Uint32Array(records) }
  // Other threads read the codes while this one looks through the rest. Both end before the file is closed.
  const [codes, checkedRows] = await Promise.allSettled([
    read(plan.ranges.filter(isCodes)),
    checkContents(kernels, contents, header, invalid)
  ])
  if (codes.status === "rejected") throw codes.reason
  if (checkedRows.status === "rejected") throw checkedRows.reason
  await readTags(store, tags, header, plan.extents.tags, invalid)
  const { free, isNamespaced } = checkedRows.value
  if (isNamespaced) store.directory.setNamespaced()
  store.directory.setRows(header.rows)
  store.adoptFree(free)
  store.directory.countLive(header.live)
  if (lists !== undefined) await adoptLists(store, lists, header, invalid)
  if (graph === undefined) return store
  await adoptGraph(graph, header, invalid)
  store.useGraph(graph.graph)
  return store
}

/** Puts lists in force that were read, when they hold every live row once. */
const adoptLists = async (store: Store, lists: ListWriter, header: ImageHeader, invalid: Invalid): Promise<void> => {
  const wrong = (reason: string) => invalid("lists", header.listsOffset, header.listsOffset + header.listsBytes, reason)
  let rows = 0
  await forEachSliced(lists.count, undefined, (list) => {
    const found = lists.adopt(
      list,
      (row) => row < header.rows && isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)
    )
    if (found < 0) throw wrong(`list ${list} is no chain of blocks with live rows`)
    rows += found
  })
  if (rows !== header.live) throw wrong(`${rows} of ${header.live} live rows are in lists`)
  lists.freeTheRest()
  await lists.shorten()
  store.useLists(lists)
}

/** Takes in the dictionary as it was read. */
const readTags = async (
  store: Store,
  packed: SharedArrayBuffer,
  { tagCount }: ImageHeader,
  { offset, bytes }: Extent,
  invalid: Invalid
): Promise<void> => {
  if (packedCount(new Uint8Array(packed)) !== tagCount) {
    throw invalid("tags", offset, offset + bytes, `they are not ${tagCount} texts`)
  }
  if (bytes > 0) store.tags.adoptPacked(packed, tagCount)
  await forEachSliced(tagCount, undefined, () => store.tags.step())
}
