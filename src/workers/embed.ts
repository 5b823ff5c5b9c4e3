/** Encodes texts on a worker thread, straight into the caller's shared memory. No Effect. */
import { type EmbedTask, StaticEncoder } from "../core/embed/static-encode.ts"

/** Position in `texts` of the first that has no known word, or -1 when all are encoded. */
export const embedTexts = ({ table, texts, vectors, row }: EmbedTask): number => {
  const encoder = new StaticEncoder(table)
  for (let i = 0; i < texts.length; i++) {
    if (!encoder.encode(texts[i]!, vectors, (row + i) * table.dimensions)) return i
  }
  return -1
}
