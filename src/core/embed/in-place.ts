/** Encoding a batch on the calling thread without holding it up. */
import { Cancelled, EmptyEmbedding } from "../errors.ts"
import { forEachSliced } from "../slice.ts"

/** Writes the vector of `text` at `out[at]`; false when nothing is found in it. */
interface InPlaceEncoder {
  encode(text: string, out: Float32Array, at: number): boolean
}

/** A text may have any length. */
const TEXTS_A_LOOK = 1

/** Vectors of `texts`, encoded in slices; rejects with `EmptyEmbedding` or `Cancelled`. */
export const embedInPlace = async (
  encoder: InPlaceEncoder,
  dimensions: number,
  texts: ReadonlyArray<string>,
  signal: AbortSignal | undefined
): Promise<Float32Array> => {
  const out = new Float32Array(texts.length * dimensions)
  const encode = (index: number) => {
    if (signal?.aborted) throw new Cancelled()
    const text = texts[index]!
    if (!encoder.encode(text, out, index * dimensions)) throw new EmptyEmbedding({ index, text })
  }
  await forEachSliced(texts.length, undefined, encode, TEXTS_A_LOOK)
  return out
}
