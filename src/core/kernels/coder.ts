/** Vectors to the codes of a segment, whichever kind they are of. */
import { codeColumns } from "./columns.ts"
import type { SegmentLayout } from "./contract.ts"
import { encode, encoderScratch, requireEncoder, storeCode } from "./encode.ts"
import { encodeProducts, productScratch, requireCodebook, storeProducts } from "./pq.ts"

export { BATCH } from "./batch.ts"

interface Coder {
  /** Makes codes of the first `count` of `vectors`, at most `BATCH`. */
  encode(vectors: Float32Array, count: number): void
  /** Writes the code of vector `index` of those to `slot`. */
  store(index: number, slot: number): void
}

/** Refuses an encoder that is not of the kind and size that the layout says. */
export const requireParameters = (layout: SegmentLayout, encoder: Float32Array): void =>
  layout.subspaces > 0 ? requireCodebook(layout, encoder) : requireEncoder(encoder, layout.dimensions)

export const makeCoder = (layout: SegmentLayout, encoder: Float32Array, codes: Uint8Array): Coder => {
  requireParameters(layout, encoder)
  const columns = codeColumns(layout, codes)
  if (layout.subspaces > 0) {
    const scratch = productScratch(layout)
    return {
      encode: (vectors, count) => encodeProducts(layout, vectors, count, encoder, scratch),
      store: (index, slot) => storeProducts(layout, scratch, index, codes, slot)
    }
  }
  const scratch = encoderScratch(layout.dimensions)
  return {
    encode: (vectors, count) => encode(vectors, count, encoder, scratch),
    store: (index, slot) => storeCode(layout, scratch, index, columns, slot)
  }
}
