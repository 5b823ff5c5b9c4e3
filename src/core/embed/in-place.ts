/** Encoding a batch on the calling thread without holding it up. */
import { setImmediate } from "node:timers/promises"
import { Cancelled, EmptyEmbedding } from "../errors.ts"

/** Writes the vector of `text` at `out[at]`; false when nothing is found in it. */
interface InPlaceEncoder {
  encode(text: string, out: Float32Array, at: number): boolean
}

/** Other work of the thread gets its turn after this long, or after the text that passes it. */
const SLICE_MS = 0.5

/** Vectors of `texts`, encoded in slices; rejects with `EmptyEmbedding` or `Cancelled`. */
export const embedInPlace = async (
  encoder: InPlaceEncoder,
  dimensions: number,
  texts: ReadonlyArray<string>,
  signal: AbortSignal | undefined
): Promise<Float32Array> => {
  if (signal?.aborted) throw new Cancelled()
  const out = new Float32Array(texts.length * dimensions)
  let sliceEnd = performance.now() + SLICE_MS
  for (let index = 0; index < texts.length; index++) {
    const text = texts[index]!
    if (!encoder.encode(text, out, index * dimensions)) throw new EmptyEmbedding({ index, text })
    if (performance.now() < sliceEnd || index === texts.length - 1) continue
    await setImmediate()
    if (signal?.aborted) throw new Cancelled()
    sliceEnd = performance.now() + SLICE_MS
  }
  return out
}
