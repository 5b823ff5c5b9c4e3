/**
 * The long forms: `npm run crash -- --rounds 1000`, `--cases 10000`, `--power 200`, `--faults`, `--soak 600`; each alone, or
 * all that are given.
 */
import { parseArgs } from "node:util"
import { corruptionCases } from "./corruption.ts"
import { buildFaultfs } from "./faultfs.ts"
import { faultRuns, mendingFaults } from "./faults.ts"
import { killRounds, totalled } from "./kill-rounds.ts"
import { powerRounds } from "./power.ts"
import { isTold, overBounds, soak } from "./soak.ts"

const SOAKED_ENTRIES = 20_000
/** Rounds that run side by side: most of the time one process waits for another to start. */
const LANES = 2

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "0" },
    faults: { type: "boolean", default: false },
    soak: { type: "string", default: "0" },
    power: { type: "string", default: "0" },
    cases: { type: "string", default: "0" },
    seed: { type: "string", default: "1" }
  }
})
const rounds = Number(values.rounds)
const cases = Number(values.cases)
const power = Number(values.power)
const seconds = Number(values.soak)
const seed = Number(values.seed)

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
  const onRound = every<{ readonly rounds: number }>("kill", 50, ({ rounds }) => rounds)
  const lanes = Array.from({ length: LANES }, (_, i) => killRounds({ rounds: rounds / LANES, seed: seed + i, onRound }))
  const counts = totalled(await Promise.all(lanes))
  say("kill", counts)
  failures += counts.lost + counts.resurrected + counts.partial
}
if (cases > 0) {
  const counts = await corruptionCases({ cases, seed, onCase: every("corruption", 500, ({ cases }) => cases) })
  say("corruption", counts)
  failures += counts.wrong
}
if (power > 0) {
  const built = buildFaultfs()
  if ("reason" in built) say("power", { skipped: built.reason })
  else {
    const onRound = every<{ readonly rounds: number }>("power", 50, ({ rounds }) => rounds)
    const counts = await powerRounds({ ...built, rounds: power, seed, onRound })
    say("power", counts)
    failures += counts.lost + counts.resurrected + counts.partial
  }
}
if (values.faults) {
  const built = buildFaultfs()
  if ("reason" in built) say("faults", { skipped: built.reason })
  else {
    for (const counts of await faultRuns(built.library, { step: 1, allWays: true })) {
      say("faults", counts)
      failures += counts.lost + counts.resurrected + counts.partial + counts.wrong.length
    }
    for (const counts of await mendingFaults(built.library, { step: 1, allWays: true })) {
      say("mending", counts)
      failures += counts.wrong.length
    }
  }
}
if (seconds > 0) {
  const counts = await soak({ seconds, entries: SOAKED_ENTRIES, seed })
  const reasons = overBounds(counts)
  say("soak", { ...counts, reasons, isGrowthBounded: isTold(counts) })
  failures += reasons.length
}
process.exitCode = failures === 0 ? 0 : 1
