/** Four threads that add to one pool and retrieve from it, under a budget that not all items fit in. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Stress } from "../../bench/fresh/recall-stress-items.ts"
import { inFreshProcess } from "../../bench/fresh.ts"

const ITEMS = 4000
/** Room for three quarters of them. */
const BUDGET_MB = 3

test("items that four threads add are all there but those that gave way, and every score is its own", async () => {
  const { printed } = await inFreshProcess<Stress>("recall-stress", `${ITEMS}`, `${BUDGET_MB}`)
  assert.deepEqual([printed.lost, printed.torn, printed.items + printed.evicted], [0, 0, ITEMS])
  assert.ok(printed.evicted > ITEMS / 10 && printed.retrievals >= ITEMS / 5)
  assert.ok(printed.bytes > 0.8 && printed.bytes <= 0.9)
})
