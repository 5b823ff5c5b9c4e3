/** Labelled pairs from a file, cut into halves so that nothing that is reported on was trained on. */
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { type LabelledPair, type Questions, questionsOf } from "../../src/core/cache/verify/labelled.ts"
import { EMPTY_HASH, extendHash } from "../../src/core/embed/fnv1a.ts"

/** Reads lines of `label <tab> a <tab> b`, label 1 for the same intent, from a file that may be gzipped. */
export const readPairs = (path: string): ReadonlyArray<LabelledPair> => {
  const bytes = readFileSync(path)
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")
  return text
    .trimEnd()
    .split("\n")
    .map((line, index) => {
      const [label, a, b] = line.split("\t")
      if ((label === "0" || label === "1") && a !== undefined && b !== undefined) return { a, b, same: label === "1" }
      throw new Error(
        `${path}, line ${index + 1}: wanted a label of 0 or 1 and two questions, got ${line.slice(0, 80)}`
      )
    })
}

export type HalfName = "develop" | "report"

/**
 * Cuts whole components of questions in two, by a hash of the first question of each: no pair joins the halves, and
 * they are the same on every machine.
 */
export const halves = (pairs: ReadonlyArray<LabelledPair>): Readonly<Record<HalfName, Questions>> => {
  const { texts, components } = questionsOf(pairs)
  const first = new Map<number, string>()
  for (const [question, text] of texts.entries()) {
    const least = first.get(components[question]!)
    if (least === undefined || text < least) first.set(components[question]!, text)
  }
  const half = new Map(texts.map((text, question) => [text, halfOf(first.get(components[question]!)!)]))
  const questionsIn = (name: HalfName) => questionsOf(pairs.filter(({ a }) => half.get(a) === name))
  return { develop: questionsIn("develop"), report: questionsIn("report") }
}

/** The half that a text is in. */
export const halfOf = (text: string): HalfName => (textHash(text) % 2 === 0 ? "develop" : "report")

/** A hash of a text, 0 to 2 ** 31 - 1, whose low bits are as good as its high ones. */
export const textHash = (text: string): number => {
  let hash = EMPTY_HASH
  for (let i = 0; i < text.length; i++) hash = extendHash(hash, text.charCodeAt(i))
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 1
}
