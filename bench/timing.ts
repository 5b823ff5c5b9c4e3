/**
 * Times of several subjects that take turns, so that what else the machine does meets all of them.
 *
 * mitata measures each turn. Ratios are medians of the quotients within a round: what both
 * sides of one round shared cancels out.
 */
import { measure } from "mitata"

/** Times of one subject, in microseconds. */
export interface Times {
  readonly p50: number
  readonly p99: number
  /** Median of each round. */
  readonly rounds: ReadonlyArray<number>
}

interface Effort {
  readonly rounds?: number
  /** Shortest turn of a subject, in milliseconds. */
  readonly turnMs?: number
}

const LEAST_SAMPLES = 8

/** Measures every subject in turn, round after round. */
export const interleave = async <K extends string>(
  subjects: Readonly<Record<K, () => unknown>>,
  { rounds = 7, turnMs = 40 }: Effort = {}
): Promise<Record<K, Times>> => {
  const names = Object.keys(subjects) as Array<K>
  const samples = new Map(names.map((name) => [name, [] as Array<number>]))
  const medians = new Map(names.map((name) => [name, [] as Array<number>]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      // One call a sample: quantiles of single calls are what is asked for.
      const turn = await measure(subjects[name], {
        min_cpu_time: turnMs * 1e6,
        min_samples: LEAST_SAMPLES,
        samples_threshold: Number.POSITIVE_INFINITY,
        batch_threshold: 0,
        gc: false
      })
      for (const ns of turn.samples) samples.get(name)!.push(ns / 1000)
      medians.get(name)!.push(turn.p50 / 1000)
    }
  }
  const timesOf = (name: K): Times => {
    const sorted = samples.get(name)!.sort((a, b) => a - b)
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), rounds: medians.get(name)! }
  }
  return Object.fromEntries(names.map((name) => [name, timesOf(name)])) as Record<K, Times>
}

/** How many times longer `subject` takes than `floor`. */
export const ratio = (subject: Times, floor: Times): number =>
  median(subject.rounds.map((time, round) => time / floor.rounds[round]!))

/** Milliseconds that `work` takes. */
export const milliseconds = async (work: () => unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

export const median = (values: ReadonlyArray<number>): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5
  )

/** Of values in increasing order, the one that a share `q` of them does not exceed. */
export const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
