/** The dictionary of a store as an image holds it: its texts one after another, in order of code. */
import { mapSliced } from "../../slice.ts"
import type { Store } from "../store.ts"
import { packedText } from "../tags.ts"

interface PackedTags {
  readonly bytes: Uint8Array
  readonly count: number
}

export const packTags = async ({ tags, directory }: Store): Promise<PackedTags> => {
  const count = directory.tags
  const parts = await mapSliced(count, undefined, (i) => packedText(tags.text(i + 1)!))
  return { bytes: Buffer.concat(parts), count }
}
