/** Turns of the event loop, which everything long shares: who waits, and who need not. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { fitsInTurn, inNextTurn, leftInTurn } from "../src/core/turn.ts"

const fill = (): void => {
  while (leftInTurn() > 0);
}

test("whoever comes once the last that waited has gone on waits for nobody", async () => {
  fill()
  const order: Array<string> = []
  const first = inNextTurn().then(() => order.push("first"))
  assert.ok(!fitsInTurn(0), "a full turn")
  const last = inNextTurn().then(() => order.push("last"))
  await first
  assert.ok(!fitsInTurn(0), "somebody waits")
  await last
  assert.ok(fitsInTurn(0))
  assert.deepEqual(order, ["first", "last"])
})
