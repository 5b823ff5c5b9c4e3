/** Pairs of questions that somebody labelled, and the clusters of questions that ask for the same. */
import { pcg64, type Uint32Source } from "../../index/pcg64.ts"

/** Two questions, and whether one answer serves both. */
export interface LabelledPair {
  readonly a: string
  readonly b: string
  readonly same: boolean
}

export interface Questions {
  /** Every question once. */
  readonly texts: ReadonlyArray<string>
  /** Members of each cluster: questions that are the same, directly or through others. */
  readonly clusters: ReadonlyArray<ReadonlyArray<number>>
  /** Component of each question: two questions of one are joined by pairs of any label. */
  readonly components: Int32Array
}

export const questionsOf = (pairs: Iterable<LabelledPair>): Questions => {
  const numbers = new Map<string, number>()
  const numberOf = (question: string): number => {
    const known = numbers.get(question) ?? numbers.size
    numbers.set(question, known)
    return known
  }
  const joined = Array.from(pairs, ({ a, b, same }) => ({ a: numberOf(a), b: numberOf(b), same }))
  const cluster = roots(
    numbers.size,
    joined.filter(({ same }) => same)
  )
  const members = new Map<number, Array<number>>()
  for (const [question, root] of cluster.entries()) {
    const others = members.get(root)
    if (others === undefined) members.set(root, [question])
    else others.push(question)
  }
  return { texts: [...numbers.keys()], clusters: [...members.values()], components: roots(numbers.size, joined) }
}

/** The least question that each is joined with. */
const roots = (questions: number, joined: ReadonlyArray<{ readonly a: number; readonly b: number }>): Int32Array => {
  const parent = Int32Array.from({ length: questions }, (_, i) => i)
  const root = (of: number): number => {
    let at = of
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!
      at = parent[at]!
    }
    return at
  }
  for (const { a, b } of joined) {
    const [x, y] = [root(a), root(b)]
    parent[Math.max(x, y)] = Math.min(x, y)
  }
  return parent.map((_, i) => root(i))
}

/** A source of random numbers; the same seed gives the same. */
export const randomOf = (seed: number): Uint32Source => pcg64(seed)

export const shuffled = <A>(items: ReadonlyArray<A>, random: Uint32Source): Array<A> => {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random() % (i + 1)
    ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
  }
  return copy
}
