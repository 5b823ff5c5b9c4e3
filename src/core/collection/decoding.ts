/** Vectors and distances as product codes alone give them. */
import { InvalidParameter, NotTrained } from "../errors.ts"
import { LENGTH_WEIGHT } from "../kernels/adc.ts"
import { dot64, norm2, normalise } from "../kernels/norm.ts"
import { decodeProducts } from "../kernels/pq.ts"
import { METRIC } from "../kernels/shape.ts"
import { SLOTS } from "../store/layout.ts"
import type { Searchable } from "../store/searchable.ts"

/** The vector that the code of a live row stands for. Called under a claim or on the owner's thread. */
export const decodedVector = (name: string, { columns, shape }: Searchable, row: number): Float32Array => {
  if (shape.pq === undefined) {
    throw new InvalidParameter({ parameter: "codes", reason: "256 signs stand for no vector: the codes are not pq" })
  }
  if (!columns.coded) throw new NotTrained({ collection: name })
  return decodeProducts(columns.layout, columns.encoder, columns.codes[Math.floor(row / SLOTS)]!, row % SLOTS)
}

/** How far `query`, which is changed, is from a decoded vector as searches rank it: lower is nearer with every metric. */
export const distanceFrom = (query: Float32Array, decoded: Float32Array, { shape }: Searchable): number => {
  const { metric, dimensions } = shape
  if (metric === "l2") {
    for (let i = 0; i < dimensions; i++) query[i] = query[i]! - decoded[i]!
    return norm2(query, 0, dimensions)
  }
  if (metric === "cosine") normalise(query, 0, dimensions)
  const product = dot64(query, 0, decoded, 0, dimensions)
  const weight = LENGTH_WEIGHT[METRIC.cosine]
  return metric === "dot" ? -product : 1 - product - (weight / 2) * (1 - norm2(decoded, 0, dimensions))
}
