/**
 * What the record of an item holds beside its key: the payload as the caller gave it, then the tensor and its spectral
 * features, which are computed once, and what encoded it where its embedding was made of it.
 *
 * Little endian: kind of the payload (u8: 0 none, 1 JSON, 2 bytes), whether there is a tensor (u8), length of the
 * encoder's identity (u16), length of the payload (u32), the payload, zeros to a multiple of four; then rows, columns,
 * layers and channels (u32 each), certainty (f32), the features (f32 each), the values (f32 each) and the identity.
 */
import { storedPayload } from "../collection/entries.ts"
import { SPECTRAL_FEATURES } from "../kernels/spectral.ts"
import { type SpectralFeatures, spectralOf } from "./spectral.ts"
import type { OwnTensor } from "./tensor.ts"

const NONE = 0
const JSON_TEXT = 1
const BYTES = 2
const HEADER_BYTES = 8
const SIDES = 4
const TENSOR_HEADER_BYTES = 4 * (SIDES + 1 + SPECTRAL_FEATURES)

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4

/**
 * Packs a payload, and a tensor with its encoder, features of 0 for now; throws `InvalidParameter` for what is no payload.
 */
export const packItem = (payload: unknown, tensor: OwnTensor | undefined, encoder = ""): Uint8Array => {
  const stored = storedPayload({ payload })
  const bytes =
    stored === undefined ? new Uint8Array() : "json" in stored ? Buffer.from(stored.json, "utf8") : stored.bytes
  const tensorAt = HEADER_BYTES + padded(bytes.length)
  const identity = Buffer.from(encoder, "utf8")
  const identityAt = tensorAt + TENSOR_HEADER_BYTES + (tensor?.data.byteLength ?? 0)
  const packed = new Uint8Array(tensor === undefined ? HEADER_BYTES + bytes.length : identityAt + identity.length)
  const view = new DataView(packed.buffer)
  view.setUint8(0, stored === undefined ? NONE : "json" in stored ? JSON_TEXT : BYTES)
  view.setUint32(4, bytes.length, true)
  packed.set(bytes, HEADER_BYTES)
  if (tensor === undefined) return packed
  view.setUint8(1, 1)
  view.setUint16(2, identity.length, true)
  packed.set(identity, identityAt)
  const sides = [tensor.rows, tensor.columns, tensor.layers, tensor.channels]
  for (const [i, side] of sides.entries()) view.setUint32(tensorAt + 4 * i, side, true)
  view.setFloat32(tensorAt + 4 * SIDES, tensor.certainty, true)
  // Machines that it runs on are little endian, and the header is a multiple of four.
  new Float32Array(packed.buffer, tensorAt + TENSOR_HEADER_BYTES, tensor.data.length).set(tensor.data)
  return packed
}

/** Writes the features of the tensor of an item that is packed. */
export const packSpectrum = (packed: Uint8Array, spectrum: Float32Array): void => {
  const view = new DataView(packed.buffer, packed.byteOffset)
  const from = HEADER_BYTES + padded(view.getUint32(4, true)) + 4 * (SIDES + 1)
  for (const [i, number] of spectrum.entries()) view.setFloat32(from + 4 * i, number, true)
}

/** The payload of packed bytes, as a copy. */
export const payloadOf = (packed: Buffer): unknown => {
  const end = HEADER_BYTES + packed.readUInt32LE(4)
  switch (packed[0]) {
    case JSON_TEXT:
      return JSON.parse(packed.toString("utf8", HEADER_BYTES, end))
    case BYTES:
      return new Uint8Array(packed.subarray(HEADER_BYTES, end))
    default:
      return undefined
  }
}

/** Identity of what encoded the item; undefined where its embedding was given, or is of a text. */
export const encoderOf = (packed: Buffer): string | undefined => {
  const bytes = packed.length < HEADER_BYTES ? 0 : packed.readUInt16LE(2)
  return bytes === 0 ? undefined : packed.toString("utf8", packed.length - bytes)
}

const tensorStart = (packed: Buffer): number | undefined =>
  packed[1] === 1 ? HEADER_BYTES + padded(packed.readUInt32LE(4)) : undefined

/** The spectral features of packed bytes; undefined without a tensor. */
export const spectrumOf = (packed: Buffer): SpectralFeatures | undefined => {
  const at = tensorStart(packed)
  if (at === undefined) return undefined
  return spectralOf(
    Float32Array.from({ length: SPECTRAL_FEATURES }, (_, i) => packed.readFloatLE(at + 4 * (SIDES + 1 + i)))
  )
}

/** The tensor of packed bytes, as a copy; undefined when there is none. */
export const tensorOf = (packed: Buffer): OwnTensor | undefined => {
  const at = tensorStart(packed)
  if (at === undefined) return undefined
  const side = (i: number): number => packed.readUInt32LE(at + 4 * i)
  const [rows, columns, layers, channels] = [side(0), side(1), side(2), side(3)]
  const from = at + TENSOR_HEADER_BYTES
  const data = new Float32Array(rows * columns * layers * channels)
  // Records lie at any address: bytes are copied, not looked at as numbers.
  new Uint8Array(data.buffer).set(packed.subarray(from, from + data.byteLength))
  return { rows, columns, layers, channels, certainty: packed.readFloatLE(at + 4 * SIDES), data }
}
