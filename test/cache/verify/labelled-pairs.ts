/** Near misses and paraphrases that were written before any gate was, and the half that gates were built on. */
import { readFileSync } from "node:fs"
import { type HalfName, halfOf } from "../../../scripts/verifier/pairs.ts"

export interface Trap {
  /** What the two texts differ in, or what might be taken for a difference. */
  readonly kind: string
  readonly a: string
  readonly b: string
  readonly half: HalfName
}

/** The lines of a file of this folder: kind, text, text. */
export const readTraps = (file: "traps.tsv" | "paraphrases.tsv"): ReadonlyArray<Trap> =>
  readFileSync(new URL(file, import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [kind = "", a = "", b = ""] = line.split("\t")
      return { kind, a, b, half: halfOf(`${a}\t${b}`) }
    })
