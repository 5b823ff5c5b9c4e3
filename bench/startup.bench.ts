/** From nothing to the first answer, in fresh processes. */
import type { Measured } from "./figure.ts"
import { inFreshProcess } from "./fresh.ts"
import { publish } from "./published.ts"
import { median } from "./timing.ts"

export const about = "import, open, first add and first search in a fresh process, against an empty one"

const ROUNDS = 7
const STEPS = [
  ["import", "begun", "imported"],
  ["open and make a collection", "imported", "opened"],
  ["first add, projection included", "opened", "added"],
  ["first search", "added", "searched"]
] as const

export async function* figures(): AsyncGenerator<Measured> {
  publish()
  const runs: Array<Record<string, number>> = []
  const whole: Array<number> = []
  const empty: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    empty.push((await inFreshProcess("empty")).ms)
    const { printed, ms } = await inFreshProcess<Record<string, number>>("startup")
    runs.push(printed)
    whole.push(ms)
  }
  for (const [name, from, to] of STEPS) {
    yield { case: name, value: median(runs.map((times) => times[to]! - times[from]!)), unit: "ms" }
  }
  const ratio = median(whole.map((ms, round) => ms / empty[round]!))
  yield { case: "whole process", value: median(whole), unit: "ms", against: "a process that does nothing", ratio }
}
