/** What remembering a query costs and saves, beside encoding it: why collections remember none of quick embedders. */
import { cachedEmbedder, type Embedder, hashEmbedder, QueryCache, staticEmbedder } from "../src/index.ts"
import type { Measured } from "./figure.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "cached queries: a hit and a miss of text beside encoding it, and a hit by vector"

const DIMENSIONS = 384
const SIZES = [128, 10_000]
const questions = (count: number) =>
  Array.from({ length: count }, (_, i) => `How do I reset the password of account number ${i} on the new site?`)

/** Calls `embed` with one question after the other. */
const inTurn = ({ embed }: Embedder, texts: ReadonlyArray<string>) => {
  let next = 0
  return () => embed([texts[next++ % texts.length]!])
}

export async function* figures(): AsyncGenerator<Measured> {
  for (const embedder of [staticEmbedder(), hashEmbedder()]) {
    const { encoded, hit, miss } = await interleave({
      encoded: inTurn(embedder, questions(100)),
      hit: inTurn(cachedEmbedder(embedder), questions(100)),
      miss: inTurn(cachedEmbedder(embedder), questions(1000))
    })
    const against = `encoding it, ${embedder.id}`
    yield { case: `encoding, ${embedder.id}, p50`, value: encoded.p50, unit: "us" }
    yield { case: `hit, ${embedder.id}, p50`, value: hit.p50, unit: "us", against, ratio: ratio(hit, encoded) }
    yield { case: `miss, ${embedder.id}, p50`, value: miss.p50, unit: "us", against, ratio: ratio(miss, encoded) }
  }
  for (const maxEntries of SIZES) {
    const cache = new QueryCache<object>(() => 1, { maxEntries, maxBytes: 1 << 30 })
    const queries = Array.from({ length: maxEntries }, () =>
      Float32Array.from({ length: DIMENSIONS }, () => (Math.random() - 0.5) / 10)
    )
    for (const query of queries) cache.set(query, query)
    let next = 0
    const { hit } = await interleave({ hit: () => cache.get(queries[next++ % maxEntries]!) })
    yield { case: `hit by vector of ${DIMENSIONS} among ${maxEntries}, p50`, value: hit.p50, unit: "us" }
  }
}
