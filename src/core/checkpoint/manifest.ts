/** What a checkpoint or an archive says of itself, as bytes that tell their own damage. */
import { InvalidParameter } from "../errors.ts"
import { checkName } from "../folder.ts"
import type { Kernels } from "../kernels/contract.ts"

/** The first line of a manifest: this, then the CRC32C of the rest as eight hexadecimal digits. */
const TITLE = "sabine checkpoint 1 "
const TITLE_BYTES = TITLE.length + 9

export interface Checkpoint {
  readonly name: string
  /** When it was made, in milliseconds since 1970, by the clock of the machine. */
  readonly time: number
  /** Bytes of its images. On disk they take room once, however many checkpoints share them. */
  readonly bytes: number
  /** Names of the collections in it. */
  readonly collections: ReadonlyArray<string>
}

type Checksums = Pick<Kernels, "crc32c">

export const encodeManifest = (kernels: Checksums, checkpoint: Checkpoint): Uint8Array => {
  const body = Buffer.from(JSON.stringify(checkpoint))
  return Buffer.concat([Buffer.from(titleOf(kernels, body)), body])
}

/** Throws what `invalid` makes of a reason. Nothing of the bytes is trusted: names of collections are checked. */
export const decodeManifest = (
  kernels: Checksums,
  bytes: Uint8Array,
  invalid: (reason: string) => Error
): Checkpoint => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const body = text.subarray(TITLE_BYTES)
  if (text.toString("latin1", 0, TITLE.length) !== TITLE) throw invalid("it is no manifest of a version known here")
  if (text.toString("latin1", 0, TITLE_BYTES) !== titleOf(kernels, body)) throw invalid("the manifest is damaged")
  const found = parsed(body)
  if (!isCheckpoint(found)) throw invalid("the manifest does not describe a checkpoint")
  return found
}

const titleOf = (kernels: Checksums, body: Uint8Array): string =>
  `${TITLE}${kernels.crc32c(body).toString(16).padStart(8, "0")}\n`

const parsed = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

const isCheckpoint = (found: unknown): found is Checkpoint => {
  if (typeof found !== "object" || found === null) return false
  const { name, time, bytes, collections } = found as Partial<Record<keyof Checkpoint, unknown>>
  if (!Array.isArray(collections) || new Set(collections).size !== collections.length) return false
  return [name, ...collections].every(isName) && isCount(time) && isCount(bytes)
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

const isName = (value: unknown): boolean => {
  try {
    checkName(value as string)
    return true
  } catch (error) {
    if (error instanceof InvalidParameter) return false
    throw error
  }
}
