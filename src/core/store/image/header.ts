/**
 * The first 512 bytes of an image: what it holds and where. docs/format.md is the byte map.
 *
 * Magic, version, endianness mark and checksum keep their places in every version, so that any
 * reader can tell a newer image from a damaged one.
 */
import type { Kernels } from "../../kernels/contract.ts"
import type { Invalid } from "./invalid.ts"
import { type Extent, HEADER_BYTES, SECTIONS, type Section } from "./ranges.ts"

const VERSION = 1
/** Like PNG's: a byte no text has, a name, and a line end that a text transfer would change. */
const MAGIC = Buffer.from("\x89SABINE\n", "latin1")
/** Written in the byte order of the machine, as columns are. */
const ENDIANNESS = 0x0102_0304
const CHECKSUM = HEADER_BYTES - 4

type Kind = "u32" | "u64" | "f64"
const WIDTH: Record<Kind, number> = { u32: 4, u64: 8, f64: 8 }

/** Where the numbers of the header lie; u64 are integers up to 2^53. */
const HEADER_FIELDS = {
  version: [8, "u32"],
  endianness: [12, "u32"],
  layoutHash: [16, "u32"],
  dimensions: [20, "u32"],
  metric: [24, "u32"],
  precision: [28, "u32"],
  generation: [32, "u64"],
  rows: [40, "u32"],
  live: [44, "u32"],
  segments: [48, "u32"],
  keyCapacity: [52, "u32"],
  keyCount: [56, "u32"],
  encoderId: [60, "u32"],
  encoderKind: [64, "u32"],
  encoderChecksum: [68, "u32"],
  encoderSeed: [72, "f64"],
  factorScale: [80, "f64"],
  segmentsOffset: [88, "u64"],
  segmentsBytes: [96, "u64"],
  encoderOffset: [104, "u64"],
  encoderBytes: [112, "u64"],
  keysOffset: [120, "u64"],
  keysBytes: [128, "u64"],
  recordsOffset: [136, "u64"],
  recordsBytes: [144, "u64"],
  checksumsOffset: [152, "u64"],
  checksumsBytes: [160, "u64"],
  checksumsChecksum: [168, "u32"],
  embedderBytes: [172, "u32"],
  tagsOffset: [176, "u64"],
  tagsBytes: [184, "u64"],
  tagCount: [192, "u32"],
  descriptionChecksum: [196, "u32"],
  descriptionOffset: [200, "u64"],
  descriptionBytes: [208, "u64"],
  listsOffset: [216, "u64"],
  listsBytes: [224, "u64"],
  lists: [232, "u32"],
  listBlocks: [236, "u32"],
  graphOffset: [240, "u64"],
  graphBytes: [248, "u64"],
  graphUpperBytes: [256, "u64"],
  graphM: [264, "u32"],
  graphEfConstruction: [268, "u32"],
  graphSeed: [272, "u32"],
  graphEntry: [276, "u32"],
  graphLevel: [280, "u32"],
  rotation: [284, "u32"],
  subspaces: [288, "u32"],
  subspaceBits: [292, "u32"],
  distortion: [296, "f64"],
  trainingRows: [304, "u32"],
  rotated: [308, "u32"],
  watermark: [312, "u64"]
} as const satisfies Record<string, readonly [offset: number, kind: Kind]>

export type HeaderField = keyof typeof HEADER_FIELDS

/** UTF-8 of the embedder's identity, then zeros. */
const EMBEDDER = 320
export const MAX_EMBEDDER_BYTES = CHECKSUM - EMBEDDER

/** What a writer fills in; the rest follows from the format. */
export type ImageHeader = Readonly<Record<Exclude<HeaderField, "version" | "endianness" | "embedderBytes">, number>> & {
  /** Identity of what made the vectors; empty where the caller did. */
  readonly embedder: string
}

/** Where the sections lie, as fields. */
export const extentFields = (extents: Readonly<Record<Section, Extent>>) =>
  Object.fromEntries(
    SECTIONS.flatMap((section) => [
      [`${section}Offset`, extents[section].offset],
      [`${section}Bytes`, extents[section].bytes]
    ])
  ) as Record<`${Section}Offset` | `${Section}Bytes`, number>

/** A refusal that names a header field and its bytes. */
export const invalidField = (invalid: Invalid, field: HeaderField, reason: string) => {
  const [offset, kind] = HEADER_FIELDS[field]
  return invalid(field, offset, offset + WIDTH[kind], reason)
}

const fields = Object.entries(HEADER_FIELDS) as ReadonlyArray<readonly [HeaderField, readonly [number, Kind]]>

export const encodeHeader = (kernels: Pick<Kernels, "crc32c">, header: ImageHeader): Uint8Array => {
  const bytes = Buffer.alloc(HEADER_BYTES)
  const embedder = Buffer.from(header.embedder)
  const numbers = { ...header, version: VERSION, endianness: ENDIANNESS, embedderBytes: embedder.length }
  for (const [field, [offset, kind]] of fields) {
    if (kind === "u32") bytes.writeUInt32LE(numbers[field], offset)
    else if (kind === "u64") bytes.writeBigUInt64LE(BigInt(numbers[field]), offset)
    else bytes.writeDoubleLE(numbers[field], offset)
  }
  bytes.set(MAGIC)
  bytes.set(machineOrder(ENDIANNESS), HEADER_FIELDS.endianness[0])
  bytes.set(embedder, EMBEDDER)
  bytes.writeUInt32LE(kernels.crc32c(bytes.subarray(0, CHECKSUM)), CHECKSUM)
  return bytes
}

/** Reads the header, given the first bytes of a file: all 512, or as many as there are. */
export const decodeHeader = (kernels: Pick<Kernels, "crc32c">, bytes: Buffer, invalid: Invalid): ImageHeader => {
  if (bytes.some((byte, i) => i < MAGIC.length && byte !== MAGIC[i])) {
    throw invalid("magic", 0, MAGIC.length, "this is not an image")
  }
  if (bytes.length < HEADER_BYTES) throw invalid("length", bytes.length, HEADER_BYTES, "the file ends in its header")
  if (bytes.readUInt32LE(CHECKSUM) !== kernels.crc32c(bytes.subarray(0, CHECKSUM))) {
    throw invalid("checksum", 0, HEADER_BYTES, "the header is damaged")
  }
  const [mark] = HEADER_FIELDS.endianness
  if (!bytes.subarray(mark, mark + 4).equals(machineOrder(ENDIANNESS))) {
    throw invalidField(invalid, "endianness", "the image was written in the other byte order")
  }
  const numbers = Object.fromEntries(fields.map(([field]) => [field, number(bytes, field)])) as Record<
    HeaderField,
    number
  >
  const { version, endianness: _, embedderBytes, ...header } = numbers
  if (version > VERSION) throw invalidField(invalid, "version", `${version} is newer than ${VERSION}, the newest known`)
  if (version < VERSION) throw invalidField(invalid, "version", `there is no version ${version}`)
  if (embedderBytes > MAX_EMBEDDER_BYTES) throw invalidField(invalid, "embedderBytes", `${embedderBytes} do not fit`)
  return { ...header, embedder: bytes.toString("utf8", EMBEDDER, EMBEDDER + embedderBytes) }
}

const number = (bytes: Buffer, field: HeaderField): number => {
  const [offset, kind] = HEADER_FIELDS[field]
  if (kind === "u32") return bytes.readUInt32LE(offset)
  return kind === "u64" ? Number(bytes.readBigUInt64LE(offset)) : bytes.readDoubleLE(offset)
}

const machineOrder = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
