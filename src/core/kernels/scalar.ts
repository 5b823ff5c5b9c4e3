/** The kernels in TypeScript: the fallback without the addon, and the oracle of every native variant. */
import type { Kernels } from "./contract.ts"
import { crc32c, crc32cBlocks, verifyBlocks } from "./crc32c.ts"
import { filterRows } from "./filter.ts"
import { assignLists } from "./lists.ts"
import { matmul } from "./matmul.ts"
import { checkRows, countKeys } from "./packed.ts"
import { refusal } from "./refusal.ts"
import { checkVectors, encodeStored, readVectors, writeRows } from "./rows.ts"
import { search } from "./search.ts"
import { spectralFeatures } from "./spectral.ts"

const ISA = "scalar"

export const scalar: Kernels = {
  isas: () => [ISA],
  activeIsa: () => ISA,
  useIsa: (name) => {
    if (name !== ISA) throw refusal("Isa", `${name} is not on this machine`)
  },
  /** Scalar loads need no more than the alignment that every buffer has. */
  alignmentPad: () => 0,
  checkRows,
  countKeys,
  crc32c,
  crc32cBlocks,
  verifyBlocks,
  matmul,
  spectralFeatures,
  checkVectors,
  writeRows,
  encodeStored,
  assignLists,
  readVectors,
  search,
  filterRows,
  streamBytes: (view) => {
    let digest = 0
    for (const byte of view) digest = (digest + byte) | 0
    return digest >>> 0
  },
  adviseHugePages: () => undefined,
  releasePages: () => undefined
}
