/** No kernel loses more than 30 % against both of its floors since the newest record of this instruction set. */
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
  const known = recorded?.filter((figure) => figure.case === kernel.name) ?? []
  const skip = known.length > 0 ? false : `no record of it for ${isa}`
  test(`${kernel.name} keeps within 30 % of its record`, { skip }, async (t) => {
    let least = Number.POSITIVE_INFINITY
    let told = ""
    for (let run = 0; run < TRIES && least > LOSS; run++) {
      for (const { against, ratio } of (await measure(kernel)).ratios) {
        const limit = known.find((figure) => figure.against === against)?.ratio
        if (limit && ratio / limit < least) {
          least = ratio / limit
          told = `${ratio.toFixed(2)} x ${against}, recorded ${limit}`
        }
      }
    }
    t.diagnostic(told)
    assert.ok(least <= LOSS, told)
  })
}
