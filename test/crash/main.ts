/** The long forms: `npm run crash -- --rounds 1000`, `--cases 10000`, `--power 200`; each alone, or all that are given. */
import { parseArgs } from "node:util"
import { corruptionCases } from "./corruption.ts"
import { killRounds } from "./kill-rounds.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "0" },
    cases: { type: "string", default: "0" },
    seed: { type: "string", default: "1" }
  }
})
const [rounds, cases, seed] = [values.rounds, values.cases, values.seed].map(Number) as [number, number, number]

const say = (suite: string, counts: object): void => {
  process.stdout.write(`${suite} ${JSON.stringify(counts)}\n`)
}
const every =
  <A extends object>(suite: string, step: number, done: (counts: A) => number) =>
  (counts: A): void => {
    if (done(counts) % step === 0) say(suite, counts)
  }

let failures = 0
if (rounds > 0) {
  const counts = await killRounds({ rounds, seed, onRound: every("kill", 50, ({ rounds }) => rounds) })
  say("kill", counts)
  failures += counts.lost + counts.resurrected + counts.partial
}
if (cases > 0) {
  const counts = await corruptionCases({ cases, seed, onCase: every("corruption", 500, ({ cases }) => cases) })
  say("corruption", counts)
  failures += counts.wrong
}
process.exitCode = failures === 0 ? 0 : 1
