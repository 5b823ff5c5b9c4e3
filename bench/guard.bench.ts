/** The ratios that `guard.test.ts` keeps: recorded here, compared there. */
import type { Measured } from "./figure.ts"
import { guarded, measure } from "./guard.ts"

export const about = "small runs of the main kernels: the record that the regression guard compares with"

const RUNS = 8

export async function* figures(): AsyncGenerator<Measured> {
  for (const kernel of guarded()) {
    // The best run, as in the test: what disturbs one only ever makes it worse.
    const best = new Map<string, number>()
    let value = Number.POSITIVE_INFINITY
    for (let run = 0; run < RUNS; run++) {
      const { us, ratios } = await measure(kernel)
      value = Math.min(value, us)
      for (const { against, ratio } of ratios) best.set(against, Math.min(best.get(against) ?? ratio, ratio))
    }
    for (const [against, ratio] of best) yield { case: kernel.name, value, unit: "us", against, ratio }
  }
}
