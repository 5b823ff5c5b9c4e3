/** Whether a header fits the format and its file, before anything is allocated. */
import { ENCODER_KINDS, type EncoderIdentity } from "../../index/encoder.ts"
import type { Kernels } from "../../kernels/contract.ts"
import type { GraphOptions } from "../graph-columns.ts"
import { MAX_DIMENSIONS, METRICS, type PqShape, PRECISIONS, ROTATIONS, type Rotation, SLOTS } from "../layout.ts"
import { MAX_LISTS } from "../list-columns.ts"
import type { StoreShape } from "../memory.ts"
import { MAX_RECORDS_BYTES, RECORD_UNIT } from "../records.ts"
import { MAX_SEGMENTS } from "../store.ts"
import { MAX_DICTIONARY_BYTES } from "../tags.ts"
import type { Description } from "./description.ts"
import { extentFields, type HeaderField, type ImageHeader, invalidField } from "./header.ts"
import type { Invalid } from "./invalid.ts"
import { type ImagePlan, layoutHash, planImage } from "./ranges.ts"

/** Blocks of lists for each row and list: some wait for readers, and lists that were merged leave theirs behind. */
const BLOCKS_A_ROW = 4
/** Bounds of the options of a graph, and of its levels. */
const MAX_M = 64
const MAX_EF = 4096
const MAX_LEVEL = 15

/** A header that has been checked, in the terms of a store. */
export interface CheckedHeader {
  readonly shape: StoreShape
  readonly encoder: EncoderIdentity & { readonly id: number }
  readonly plan: ImagePlan
  /** The graph that is wanted of the store; its links are in the file when `graphBytes` is not 0. */
  readonly graph: GraphOptions | undefined
}

export const checkHeader = (
  kernels: Pick<Kernels, "crc32c">,
  header: ImageHeader,
  { fields }: Description,
  fileBytes: number,
  invalid: Invalid
): CheckedHeader => {
  const require = (holds: boolean, field: HeaderField, reason: string) => {
    if (!holds) throw invalidField(invalid, field, reason)
  }
  const known = <A>(names: ReadonlyArray<A>, field: HeaderField & keyof ImageHeader): A => {
    const name = names[header[field] as number]
    if (name === undefined) throw invalidField(invalid, field, `there is no ${header[field]}`)
    return name
  }
  const { dimensions, rows, keyCapacity, recordsBytes, tagsBytes, tagCount, descriptionBytes } = header
  require(dimensions >= 1 && dimensions <= MAX_DIMENSIONS, "dimensions", `${dimensions} is out of range`)
  const kind = known(ENCODER_KINDS, "encoderKind")
  require((kind === "pq") === header.subspaces > 0, "subspaces", `${header.subspaces} for the encoder ${kind}`)
  const rotation = known(ROTATIONS, "rotation")
  require(kind === "pq" || rotation === "none", "rotation", `${rotation} for the encoder ${kind}`)
  const { rotated } = header
  require(kind === "pq" || rotated === 0, "rotated", `${rotated} for the encoder ${kind}`)
  const shape = {
    dimensions,
    metric: known(METRICS, "metric"),
    precision: known(PRECISIONS, "precision"),
    ...(fields && { fields }),
    ...(kind === "pq" && { pq: pqOf(header, rotation, require) })
  }
  require(header.layoutHash === layoutHash(kernels, shape), "layoutHash", "columns lie elsewhere in this version")
  require(Number.isSafeInteger(header.generation), "generation", "is out of range")
  require(Number.isSafeInteger(header.watermark), "watermark", "is out of range")
  const exponent = Math.log2(header.factorScale)
  require(Number.isInteger(exponent) && 2 ** exponent === header.factorScale, "factorScale", "is no power of two")

  require(rows <= MAX_SEGMENTS * SLOTS, "rows", `${rows} is out of range`)
  require(header.segments === Math.ceil(rows / SLOTS), "segments", `${header.segments} do not hold ${rows} rows`)
  require(header.live <= rows, "live", `${header.live} of ${rows} rows`)
  require(header.keyCount === header.live, "keyCount", `${header.keyCount} keys for ${header.live} live rows`)
  // Probing ends at an empty slot.
  require(keyCapacity > header.keyCount, "keyCapacity", `${keyCapacity} for ${header.keyCount} keys`)
  require(recordsBytes <= MAX_RECORDS_BYTES && recordsBytes % RECORD_UNIT === 0, "recordsBytes", "is out of range")

  const { lists, listBlocks } = header
  require(lists <= MAX_LISTS, "lists", `${lists} is out of range`)
  require(listBlocks <= BLOCKS_A_ROW * (rows + lists), "listBlocks", `${listBlocks} for ${rows} rows`)
  require(lists > 0 || listBlocks === 0, "listBlocks", `${listBlocks} of no list`)
  require(tagsBytes <= MAX_DICTIONARY_BYTES, "tagsBytes", "is out of range")
  require(tagCount <= tagsBytes, "tagCount", `${tagCount} in ${tagsBytes} bytes`)

  const { graphM: m, graphEfConstruction: efConstruction, graphSeed: seed, graphBytes, graphUpperBytes } = header
  const wantsGraph = m !== 0
  require(!wantsGraph || (m >= 4 && m <= MAX_M), "graphM", `${m} is out of range`)
  require(!wantsGraph || shape.precision !== "none", "graphM", "no vectors are stored to build a graph of")
  require(!wantsGraph || kind !== "pq", "graphM", "goes with signs: the codes are pq")
  require(!wantsGraph || (efConstruction >= 1 && efConstruction <= MAX_EF), "graphEfConstruction", "is out of range")
  require(wantsGraph || graphBytes === 0, "graphBytes", "there is no graph")
  // Every level of every row, whatever the seed.
  require(graphUpperBytes <= rows * MAX_LEVEL * m * 4, "graphUpperBytes", "is out of range")
  require(graphUpperBytes % 4 === 0, "graphUpperBytes", "are not whole links")
  const graphSize = graphBytes > 0 ? { m, upperBytes: graphUpperBytes } : undefined
  const size = {
    shape,
    rotated,
    rows,
    keyCapacity,
    recordsBytes,
    lists,
    listBlocks,
    graph: graphSize,
    tagsBytes,
    descriptionBytes
  }
  const plan = planImage(size)
  for (const [field, value] of Object.entries(extentFields(plan.extents)) as ReadonlyArray<[HeaderField, number]>) {
    require(header[field as keyof ImageHeader] === value, field, `is not ${value}`)
  }
  if (fileBytes !== plan.fileBytes) {
    const reason = `the file has ${fileBytes} bytes instead of ${plan.fileBytes}`
    throw invalid("length", Math.min(fileBytes, plan.fileBytes), Math.max(fileBytes, plan.fileBytes), reason)
  }
  const encoder = {
    id: header.encoderId,
    kind,
    dimensions,
    seed: header.encoderSeed,
    factorScale: header.factorScale,
    checksum: header.encoderChecksum,
    ...(rotated > 0 && { rotated }),
    ...(header.trainingRows > 0 && { training: { rows: header.trainingRows, distortion: header.distortion } })
  }
  return { shape, encoder, plan, graph: wantsGraph ? { m, efConstruction, seed } : undefined }
}

const pqOf = (
  { dimensions, subspaces, subspaceBits, rotated }: ImageHeader,
  rotation: Rotation,
  require: (holds: boolean, field: HeaderField, reason: string) => void
): PqShape => {
  const bits = subspaceBits === 4 ? 4 : 8
  require(subspaceBits === bits, "subspaceBits", `${subspaceBits} is neither 4 nor 8`)
  const fit = subspaces <= dimensions && (bits === 8 || subspaces % 2 === 0)
  require(fit, "subspaces", `${subspaces} of ${bits} bits do not divide ${dimensions} dimensions`)
  const isRotation = rotated === 0 || (rotation !== "none" && rotated >= subspaces && rotated <= dimensions)
  require(isRotation, "rotated", `${rotated} of ${dimensions} components with the rotation ${rotation}`)
  return { m: subspaces, bits, ...(rotation !== "none" && { rotation }) }
}
