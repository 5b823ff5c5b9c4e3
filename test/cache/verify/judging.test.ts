/** What is remembered of words from one look-up to the next changes nothing. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Judging } from "../../../src/core/cache/verify/judging.ts"
import { staticTable } from "../../../src/core/embed/table.ts"
import { readTraps } from "./labelled-pairs.ts"

test("a look-up is judged as if no other had been before it", async () => {
  const table = await staticTable()
  const pairs = [...readTraps("traps.tsv"), ...readTraps("paraphrases.tsv")]
  const old = new Judging(table)
  const judged = (judging: Judging, { a, b }: (typeof pairs)[number]) => {
    judging.read(a, [{ text: b, similarity: 0.9 }], 1000)
    return { features: [...judging.features], gates: [...judging.gates] }
  }
  for (const pair of pairs) judged(old, pair)
  // More words than are remembered, so that most of them take the place of others.
  for (let i = 0; i < 6000; i++) old.read(`word${i} and unword${i * 7}ing`, [{ text: `${i}`, similarity: 1 }], 10)
  for (const pair of pairs.filter((_, i) => i % 20 === 0)) {
    assert.deepEqual(judged(old, pair), judged(new Judging(table), pair), pair.a)
  }
})
