/** Real sentences: the glosses of WordNet. */
import { synsets } from "../examples/wordnet/glosses.ts"

/** The first `count` glosses that differ, or all. */
export const sentences = async (count: number): Promise<ReadonlyArray<string>> => {
  const glosses = (await synsets()).map(({ gloss }) => gloss)
  return [...new Set(glosses)].slice(0, count)
}
