/**
 * Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
 *
 * - A floor of relevance: candidates are met in the order of their scores, and only while the next could be worth more
 *   than the best of those met, were it as unlike the chosen as the least alike of a few candidates that are spread over
 *   all.
 * - A sample of the chosen: by how many signs two vectors differ tells roughly how alike they are. A candidate is compared
 *   with the few of the chosen that look nearest, as long as one may be nearer than the nearest is.
 */
import { norm2 } from "./norm.ts"
import { METRIC } from "./shape.ts"
import { cosineOf, differing, signsOf } from "./sketch.ts"

/** Candidates, spread over all, that say how unlike the chosen the others may be. */
const SAMPLED = 16
/** Chosen hits that a candidate is compared with, each time that it is looked at. */
const COMPARED = 4
/** How much nearer a hit may be than it looks, as a cosine: the signs of 384 components err by .08, of like ones by less. */
const MARGIN = 0.05

/** Of candidates, best first, those that are worth most together. */
export interface Candidates {
  readonly scores: ArrayLike<number>
  /** The stored vectors as f32, one after the other. */
  readonly vectors: Float32Array
}

interface Choice {
  readonly dimensions: number
  readonly metric: number
  readonly keep: number
  readonly lambda: number
  /** The collection's score of one candidate against another. */
  readonly between: (a: number, b: number) => number
}

/** A candidate that was met: what it was worth when it was looked at last. */
interface Met {
  readonly at: number
  value: number
  nearest: number
  /** Chosen hits it was compared with. */
  seen: number
}

/** Positions of the chosen candidates in the order of the choice. */
export const chosenFast = (
  { scores, vectors }: Candidates,
  { dimensions, metric, keep, lambda, between }: Choice
): ReadonlyArray<number> => {
  const count = scores.length
  const sketches: Array<{ readonly signs: Uint32Array; readonly length: number }> = []
  const sketch = (at: number) => {
    const vector = vectors.subarray(at * dimensions, (at + 1) * dimensions)
    sketches[at] ??= {
      signs: signsOf(vector),
      length: metric === METRIC.cosine ? 1 : Math.sqrt(norm2(vector, 0, dimensions))
    }
    return sketches[at]!
  }
  const likeness = (a: number, b: number, margin: number): number => {
    const [x, y] = [sketch(a), sketch(b)]
    const cosine = cosineOf(differing(x.signs, y.signs), dimensions) + margin
    if (metric === METRIC.l2) return 2 * x.length * y.length * cosine - x.length ** 2 - y.length ** 2
    return x.length * y.length * cosine
  }
  const worth = (at: number, nearest: number): number => lambda * scores[at]! - (1 - lambda) * nearest
  const step = Math.max(1, Math.floor(count / SAMPLED))
  const sample = Array.from({ length: Math.min(SAMPLED, count) }, (_, i) => Math.floor(step / 2) + i * step)
  const sampleNearest = sample.map(() => Number.NEGATIVE_INFINITY)
  const chosen: Array<number> = []
  const choose = (at: number): number => {
    chosen.push(at)
    for (const [i, other] of sample.entries()) sampleNearest[i] = Math.max(sampleNearest[i]!, likeness(other, at, 0))
    return Math.fround(Math.min(...sampleNearest))
  }
  const look = (met: Met): void => {
    const nearer = chosen
      .slice(met.seen)
      .map((other) => ({ other, likeness: likeness(met.at, other, MARGIN) }))
      .sort((a, b) => b.likeness - a.likeness)
      .slice(0, COMPARED)
    for (const { other, likeness } of nearer) {
      if (likeness <= met.nearest) break
      met.nearest = Math.max(met.nearest, between(met.at, other))
    }
    met.seen = chosen.length
    met.value = worth(met.at, met.nearest)
  }
  if (count === 0) return chosen
  // The first is the nearest of all: nothing was chosen that it could be like.
  let floor = choose(0)
  const left: Array<Met> = []
  let next = 1
  while (chosen.length < keep) {
    const best = () => left.reduce((best, met) => (met.value > best.value ? met : best), left[0]!)
    while (next < count && (left.length === 0 || best().value <= worth(next, floor))) {
      const met: Met = { at: next, value: 0, nearest: Number.NEGATIVE_INFINITY, seen: 0 }
      look(met)
      left.push(met)
      next++
    }
    if (left.length === 0) break
    const first = best()
    if (first.seen < chosen.length) look(first)
    else {
      left.splice(left.indexOf(first), 1)
      floor = choose(first.at)
    }
  }
  return chosen
}
