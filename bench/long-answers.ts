/** Answers of a megabyte: what becomes JSON, or is made of it, holds the event loop in one go. */
import { semanticCache } from "../src/cache.ts"
import { open } from "../src/index.ts"
import { asked, CACHE, DIMENSIONS } from "./caching.ts"
import type { Measured } from "./figure.ts"
import { interleave, ratio } from "./timing.ts"

const BYTES = 1_000_000

const repeated = <A>(part: (i: number) => A): ReadonlyArray<A> => {
  const { length } = JSON.stringify(part(10_000))
  return Array.from({ length: Math.floor(BYTES / (length + 2)) }, (_, i) => part(i))
}

const SHAPES: Readonly<Record<string, unknown>> = {
  "one text": "x".repeat(BYTES),
  "whole numbers": repeated((i) => i),
  "small objects": repeated((i) => ({ type: "text-delta", id: "0", delta: ` word ${i}` }))
}

export async function* longAnswers(): AsyncGenerator<Measured> {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, CACHE)
  const vector = Float32Array.from({ length: DIMENSIONS }, () => 1)
  for (const [shape, answer] of Object.entries(SHAPES)) {
    const request = asked(0, shape)
    await cache.set(request, answer, { vector })
    const json = JSON.stringify(answer)
    const { kept, served, written, read } = await interleave({
      kept: () => cache.set(request, answer, { vector }),
      written: () => JSON.stringify(answer),
      served: () => cache.get(request),
      read: () => JSON.parse(json)
    })
    const of = `an answer of 1 MB, ${shape}, p50`
    yield { case: `keeping ${of}`, value: kept.p50, unit: "us", against: "JSON.stringify", ratio: ratio(kept, written) }
    yield { case: `serving ${of}`, value: served.p50, unit: "us", against: "JSON.parse", ratio: ratio(served, read) }
  }
}
