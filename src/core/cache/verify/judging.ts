/** Features and gates of the candidates of one look-up, in memory that is used again. */

import type { StaticTable } from "../../embed/table.ts"
import { Alignment } from "./alignment.ts"
import { Analysis, MOST_UNITS } from "./analysis.ts"
import { compareCandidates, compareTexts, FEATURES } from "./features.ts"
import { refusingGate } from "./gates.ts"
import { Reader } from "./reader.ts"
import type { Candidate, Gate } from "./verifier.ts"

/** Candidates of a look-up that are judged: the nearest ones. */
export const MOST_JUDGED = 5

/** Judges one look-up at a time: what it holds is of the last `read`. */
export class Judging {
  /** Features of the candidates, a row of `FEATURES.length` each. */
  readonly features = new Float32Array(MOST_JUDGED * FEATURES.length)
  /** The gate that refuses each candidate. */
  readonly gates: Array<Gate | undefined> = []
  readonly #query: Analysis
  readonly #cached: Analysis
  readonly #alignment = new Alignment()

  constructor(table: StaticTable) {
    const reader = new Reader(table, MOST_UNITS)
    this.#query = new Analysis(reader)
    this.#cached = new Analysis(reader)
  }

  /** Reads the query and its nearest candidates, and returns how many of these were judged. */
  read(query: string, candidates: ReadonlyArray<Candidate>, cached: number): number {
    const rows = Math.min(candidates.length, MOST_JUDGED)
    this.gates.length = rows
    if (rows === 0) return 0
    this.#query.read(query)
    for (let row = 0; row < rows; row++) {
      const { text } = candidates[row]!
      this.#cached.read(text)
      this.#alignment.align(this.#query, this.#cached)
      compareTexts(this.#query, this.#cached, this.#alignment, this.features, row * FEATURES.length)
      this.gates[row] = this.#gate(query, text)
    }
    compareCandidates(candidates, rows, cached, this.features)
    return rows
  }

  #gate(query: string, text: string): Gate | undefined {
    if (query === text) return undefined
    if (!this.#query.isWhole || !this.#cached.isWhole) return "unsure"
    return refusingGate(this.#query, this.#cached, this.#alignment)
  }
}
