/** Look-ups whose right answers are known, made of clusters: which questions are cached, and which are asked. */
import type { Uint32Source } from "../../index/pcg64.ts"
import { kernels } from "../../native.ts"
import { inNextTurn } from "../../turn.ts"
import { MOST_JUDGED } from "./judging.ts"
import { type Questions, shuffled } from "./labelled.ts"
import type { Candidate } from "./verifier.ts"

/** A question, the nearest cached ones, and which of them asks for the same. */
export interface KnownLookUp {
  readonly question: number
  /** Whether its cluster is cached: a hit is wanted. */
  readonly duplicate: boolean
  /** Nearest first. */
  readonly candidates: ReadonlyArray<Candidate & { readonly question: number }>
  /** Place of its own cluster among the candidates, -1 when it is not there. */
  readonly right: number
  /** Whether a candidate is one that somebody labelled as near it and another question, directly or through others. */
  readonly hasNearMiss: boolean
}

interface Sizes {
  /** Questions that are cached, one of each of as many clusters, those that have further members first. */
  readonly cached: number
  /** Clusters with further members that are cached at most: each is asked for by one of these. */
  readonly duplicates: number
  /** Questions of other clusters that are asked at most. */
  readonly others: number
}

/** Draws what is cached and what is asked, and finds the nearest cached questions of each. */
export const knownLookUps = async (
  { texts, clusters, components }: Questions,
  vectors: Float32Array,
  sizes: Sizes,
  random: Uint32Source
): Promise<ReadonlyArray<KnownLookUp>> => {
  const drawn = shuffled(clusters, random).map((members) => shuffled(members, random))
  const several = drawn.filter(({ length }) => length > 1)
  const asked = several.slice(0, Math.min(sizes.duplicates, sizes.cached))
  const fill = [...drawn.filter(({ length }) => length === 1), ...several.slice(asked.length)]
  const kept = [...asked, ...fill.slice(0, sizes.cached - asked.length)]
  const left = shuffled(fill.slice(sizes.cached - asked.length), random).slice(0, sizes.others)
  const rows = kept.map(([first]) => first!)
  const questions = [...asked.map(([, second]) => second!), ...left.map(([first]) => first!)]
  const near = await nearest(vectors, vectors.length / texts.length, rows, questions)
  return questions.map((question, i) => ({
    question,
    duplicate: i < asked.length,
    candidates: near[i]!.map(({ row, similarity }) => ({ text: texts[rows[row]!]!, question: rows[row]!, similarity })),
    right: i < asked.length ? near[i]!.findIndex(({ row }) => row === i) : -1,
    hasNearMiss: near[i]!.some(
      ({ row }) => components[rows[row]!] === components[question] && !(i < asked.length && row === i)
    )
  }))
}

interface Near {
  readonly row: number
  readonly similarity: number
}

/** Questions of one matrix product. */
const BATCH = 64

/** The nearest of `rows` to each question, best first. */
const nearest = async (
  vectors: Float32Array,
  dimensions: number,
  rows: ReadonlyArray<number>,
  questions: ReadonlyArray<number>
): Promise<ReadonlyArray<ReadonlyArray<Near>>> => {
  const width = rows.length
  const columns = new Float32Array(dimensions * width)
  for (const [i, row] of rows.entries()) {
    for (let c = 0; c < dimensions; c++) columns[c * width + i] = vectors[row * dimensions + c]!
  }
  const found: Array<ReadonlyArray<Near>> = []
  for (let from = 0; from < questions.length; from += BATCH) {
    const batch = questions.slice(from, from + BATCH)
    const asked = new Float32Array(batch.length * dimensions)
    for (const [i, question] of batch.entries()) {
      asked.set(vectors.subarray(question * dimensions, (question + 1) * dimensions), i * dimensions)
    }
    const scores = new Float32Array(batch.length * width)
    kernels.matmul(asked, columns, scores, batch.length, dimensions, width)
    for (let i = 0; i < batch.length; i++) found.push(best(scores.subarray(i * width, (i + 1) * width)))
    await inNextTurn()
  }
  return found
}

const best = (scores: Float32Array): ReadonlyArray<Near> => {
  const kept: Array<Near> = []
  for (const [row, similarity] of scores.entries()) {
    if (kept.length === MOST_JUDGED && similarity <= kept.at(-1)!.similarity) continue
    let place = kept.length
    while (place > 0 && kept[place - 1]!.similarity < similarity) place--
    kept.splice(place, 0, { row, similarity })
    if (kept.length > MOST_JUDGED) kept.pop()
  }
  return kept
}
