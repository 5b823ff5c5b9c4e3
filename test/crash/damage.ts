/** Damage to a file, as disks and those who copy files do it: drawn from a seed, at every structure. */

const PAGE = 4096
/** A log of SQLite has a header of so many bytes, then pages with a header each. */
const WAL_HEADER = 32
const WAL_FRAME = 24 + PAGE
/** Bytes at the ends of a file that are damaged oftener than their share: headers and tables of checksums lie there. */
const ENDS = 512

const KINDS = ["flip", "burst", "cut", "swap", "zero"] as const
export type DamageKind = (typeof KINDS)[number]

export interface Damaged {
  readonly kind: DamageKind
  readonly bytes: Buffer
  /** First byte that differs, for messages. */
  readonly at: number
}

/** Bytes up to the zeros at the end: a write-ahead log has room ahead, where damage changes nothing. */
const writtenLength = (bytes: Buffer): number => {
  let length = bytes.length
  while (length > 1 && bytes[length - 1] === 0) length--
  return length
}

/** The same bytes but for one damage. */
export const damage = (bytes: Buffer, isWal: boolean, bits: () => number): Damaged => {
  const length = isWal ? writtenLength(bytes) : bytes.length
  const kind = KINDS[bits() % KINDS.length]!
  const changed = Buffer.from(bytes)
  const place = (): number => {
    const end = bits() % 4
    if (end === 0) return bits() % Math.min(ENDS, length)
    if (end === 1) return Math.max(0, length - 1 - (bits() % ENDS))
    return bits() % length
  }
  /** A block of one of the sizes that files are made of, at a multiple of it. */
  const block = (size: number): number => {
    const from = isWal && size === WAL_FRAME ? WAL_HEADER : 0
    const count = Math.max(1, Math.floor((length - from) / size))
    return from + size * (bits() % count)
  }
  const size = [64, 512, PAGE, isWal ? WAL_FRAME : 2 * PAGE][bits() % 4]!
  switch (kind) {
    case "flip": {
      const at = place()
      changed[at]! ^= 1 << (bits() % 8)
      return { kind, bytes: changed, at }
    }
    case "burst": {
      const at = place()
      for (let i = at; i < Math.min(bytes.length, at + 16); i++) changed[i] = bits()
      return { kind, bytes: changed, at }
    }
    case "cut": {
      const at = bits() % 2 === 0 ? place() : block(size)
      return { kind, bytes: changed.subarray(0, at), at }
    }
    case "swap": {
      const [a, b] = [block(size), block(size)]
      bytes.copy(changed, a, b, b + size)
      bytes.copy(changed, b, a, Math.min(a + size, bytes.length))
      return { kind, bytes: changed.subarray(0, bytes.length), at: Math.min(a, b) }
    }
    case "zero": {
      const at = block(size)
      changed.subarray(at, at + size).fill(0)
      return { kind, bytes: changed, at }
    }
  }
}
