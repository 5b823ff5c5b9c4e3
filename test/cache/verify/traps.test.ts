/** Near misses are refused and paraphrases are not, on the half that nobody looked at while the gates were built. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Judging } from "../../../src/core/cache/verify/judging.ts"
import type { Gate } from "../../../src/core/cache/verify/verifier.ts"
import { staticTable } from "../../../src/core/embed/table.ts"
import { readTraps, type Trap } from "./labelled-pairs.ts"

const LEAST_REFUSED = 0.95
const MOST_REFUSED = 0.05

const judging = new Judging(await staticTable())

const gateOf = (query: string, text: string): Gate | undefined => {
  judging.read(query, [{ text, similarity: 0.95 }], 1000)
  return judging.gates[0]
}

const shareRefused = (traps: ReadonlyArray<Trap>): number =>
  traps.filter(({ a, b }) => gateOf(a, b) !== undefined).length / traps.length

for (const half of ["develop", "report"] as const) {
  const ofHalf = (file: "traps.tsv" | "paraphrases.tsv") => readTraps(file).filter((trap) => trap.half === half)

  test(`95 % of the near misses of the half to ${half} are refused`, (t) => {
    const share = shareRefused(ofHalf("traps.tsv"))
    t.diagnostic(`${(100 * share).toFixed(1)} % of ${ofHalf("traps.tsv").length}`)
    assert.ok(share >= LEAST_REFUSED, `${share}`)
  })

  test(`at most 5 % of the paraphrases of the half to ${half} are refused`, (t) => {
    const share = shareRefused(ofHalf("paraphrases.tsv"))
    t.diagnostic(`${(100 * share).toFixed(1)} % of ${ofHalf("paraphrases.tsv").length}`)
    assert.ok(share <= MOST_REFUSED, `${share}`)
  })
}

test("there are two hundred of each, in halves that are both large enough to tell", () => {
  for (const file of ["traps.tsv", "paraphrases.tsv"] as const) {
    const traps = readTraps(file)
    assert.equal(traps.length, 200)
    for (const half of ["develop", "report"]) assert.ok(traps.filter((trap) => trap.half === half).length >= 80)
  }
})

/** One or two of each kind, by the gate that has to refuse them. */
const REFUSED: ReadonlyArray<readonly [gate: Gate, a: string, b: string]> = [
  ["number", "Is 12,000 a lot?", "Is 1200 a lot?"],
  ["number", "What is new in version 1.4.2?", "What is new in version 1.4.3?"],
  ["number", "Name twenty five rivers", "Name twenty six rivers"],
  ["number", "Is the IPv4 header long?", "Is the IPv6 header long?"],
  ["unit", "Wait 5 min", "Wait 5 hours"],
  ["unit", "Is 20 % a good tip?", "Is 20 € a good tip?"],
  ["date", "What happened in 1914?", "What happened in 1939?"],
  ["date", "Sales of last month", "Sales of this month"],
  ["date", "Call me at 9:15", "Call me at 9:45"],
  ["negation", "Why is it legal?", "Why is it illegal?"],
  ["negation", "Does it work with a key?", "Does it work without a key?"],
  ["antonym", "How do I turn on the alarm?", "How do I turn off the alarm?"],
  ["antonym", "How do I get from Bern to Basel?", "How do I get from Basel to Bern?"],
  ["entity", "Is Oslo expensive?", "Is Lisbon expensive?"],
  ["identifier", "What does useState return?", "What does useEffect return?"],
  ["identifier", "What is in src/a.ts?", "What is in src/b.ts?"]
]

for (const [gate, a, b] of REFUSED) {
  test(`the gate "${gate}" refuses ${JSON.stringify(b)} for ${JSON.stringify(a)}`, () => {
    assert.equal(gateOf(a, b), gate)
  })
}

/** What differs in form alone. */
const PASSED: ReadonlyArray<readonly [a: string, b: string]> = [
  ["Is 12,000 a lot?", "Is 12000 a lot?"],
  ["Name three rivers", "Name 3 rivers"],
  ["How long is 5k?", "How long is 5,000?"],
  ["Is it allowed?", "Is it not forbidden?"],
  ["Is Go better than Rust?", "Is Rust worse than Go?"],
  ["Is it so?", "Isn't it so?"],
  ["Is it safe?", "Is it safe or not?"],
  ["Who leads the USA?", "Who leads America?"],
  ["Where are the Philipines?", "Where are the Philippines?"],
  ["What does user_id mean?", "What does `user_id` mean?"]
]

for (const [a, b] of PASSED) {
  test(`no gate refuses ${JSON.stringify(b)} for ${JSON.stringify(a)}`, () => {
    assert.equal(gateOf(a, b), undefined)
  })
}
