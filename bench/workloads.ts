/** Streams of questions as caches meet them: each is of an intent, and worded anew or as before. */

/** A question of a stream. */
interface Question {
  /** What is asked for: questions of one intent have one answer. */
  readonly intent: number
  /** The same for the same words. */
  readonly text: string
  readonly vector: Float32Array
}

interface Workload {
  readonly name: string
  readonly questions: (count: number) => Generator<Question>
}

export const DIMENSIONS = 64
/** Length of what wordings differ by, of intents of length 1: two of an intent have a cosine of .89 in the mean. */
const SPREAD = 0.35
/** Intents have one wording that is asked for more often than all others. */
const USUAL_WORDING = 0.3

const random = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A vector of length 1 in expectation that is the same for the same seed. */
const direction = (seed: number): Float32Array => {
  const next = random(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return Float32Array.from({ length: DIMENSIONS }, () => normal() / Math.sqrt(DIMENSIONS))
}

const question = (intent: number, wording: number): Question => {
  const vector = direction(1 + intent)
  const other = direction(((intent * 7919 + wording) | 0) ^ 0x5bd1e995)
  for (let i = 0; i < DIMENSIONS; i++) vector[i]! += SPREAD * other[i]!
  return { intent, text: `${intent} in wording ${wording}`, vector }
}

/** Draws ranks 0, 1, ... with odds that fall as the power `skew` of the rank. */
const zipf = (count: number, skew: number, next: () => number): (() => number) => {
  const sums = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank++) sums[rank] = sum += (rank + 1) ** -skew
  return () => {
    const wanted = next() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

const wordings = (next: () => number) => (intent: number) =>
  question(intent, next() < USUAL_WORDING ? 0 : 1 + Math.floor(next() * 1000))

/** Intents by Zipf's law, most of them in words of their own. */
const paraphrases: Workload = {
  name: "Zipf with paraphrases",
  *questions(count) {
    const next = random(1)
    const word = wordings(next)
    const rank = zipf(8000, 0.9, next)
    for (let i = 0; i < count; i++) yield word(rank())
  }
}

/** What people ask about moves on: new intents come up all the time, and are asked for less the older they are. */
const drift: Workload = {
  name: "drifting topics",
  *questions(count) {
    const next = random(2)
    const word = wordings(next)
    const rank = zipf(3000, 0.8, next)
    for (let i = 0; i < count; i++) yield word(3000 + Math.floor(i / 10) - rank())
  }
}

/** Something happens and many ask about it for a while, each in other words, beside what is asked at all times. */
const bursts: Workload = {
  name: "bursty duplicates",
  *questions(count) {
    const next = random(3)
    const word = wordings(next)
    const rank = zipf(6000, 0.9, next)
    let left = 0
    let event = 1_000_000
    for (let i = 0; i < count; i++) {
      if (left === 0 && next() < 0.02) {
        left = 20 + Math.floor(next() * 60)
        event++
      }
      const isOfEvent = left > 0 && next() < 0.7
      if (isOfEvent) left--
      yield word(isOfEvent ? event : rank())
    }
  }
}

/** Agents that go through the steps of tasks again and again, more steps than there is room for, and one-off questions. */
const agents: Workload = {
  name: "agent loop",
  *questions(count) {
    const next = random(4)
    const word = wordings(next)
    const task = zipf(120, 0.7, next)
    let steps: Array<number> = []
    let once = 2_000_000
    for (let i = 0; i < count; i++) {
      if (steps.length === 0) {
        const first = task() * 20
        steps = Array.from({ length: 20 }, (_, step) => first + step)
      }
      yield next() < 0.25 ? question(once++, 0) : word(steps.shift()!)
    }
  }
}

export const WORKLOADS: ReadonlyArray<Workload> = [paraphrases, drift, bursts, agents]
