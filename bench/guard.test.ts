/** No kernel loses more than 30 % against its floor since the newest record of this instruction set. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { kernels } from "../src/core/native.ts"
import { guarded, measure } from "./guard.ts"
import { newest } from "./record.ts"

const LOSS = 1.3
/** A loss must show in every one of these runs: tests beside this one share the processors. */
const TRIES = 8

const isa = kernels.activeIsa()
const recorded = newest("guard", isa)

for (const kernel of guarded()) {
  const limit = recorded?.find((figure) => figure.case === kernel.name)?.ratio
  const skip = limit ? false : `no record of it for ${isa}`
  test(`${kernel.name} keeps within 30 % of its record`, { skip }, async (t) => {
    let best = Number.POSITIVE_INFINITY
    for (let run = 0; run < TRIES && best > limit! * LOSS; run++) best = Math.min(best, (await measure(kernel)).ratio)
    t.diagnostic(`${best.toFixed(2)} x ${kernel.against}, recorded ${limit}`)
    assert.ok(best <= limit! * LOSS, `${best.toFixed(2)} x ${kernel.against} instead of ${limit}`)
  })
}
