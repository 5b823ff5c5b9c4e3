/** A model as `data/verifier/model.json` holds it. */
import { FEATURES } from "../../src/core/cache/verify/features.ts"
import type { Forest } from "../../src/core/cache/verify/forest.ts"

/** Arrays in base64, little-endian; `model.ts` reads them. */
export const packed = (id: string, { depth, base, features, thresholds, leaves }: Forest) => ({
  id,
  features: FEATURES,
  depth,
  base,
  nodeFeatures: encoded(features),
  nodeThresholds: encoded(thresholds),
  leaves: encoded(leaves)
})

const encoded = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBufferLike>): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64")
