/** The ratios that `guard.test.ts` keeps: recorded here, compared there. */
import type { Measured } from "./figure.ts"
import { guarded, measure } from "./guard.ts"

export const about = "small runs of the main kernels: the record that the regression guard compares with"

const RUNS = 8

export async function* figures(): AsyncGenerator<Measured> {
  for (const kernel of guarded()) {
    const runs: Array<{ readonly us: number; readonly ratio: number }> = []
    for (let run = 0; run < RUNS; run++) runs.push(await measure(kernel))
    yield {
      case: kernel.name,
      value: Math.min(...runs.map(({ us }) => us)),
      unit: "us",
      against: kernel.against,
      // The best run, as in the test: what disturbs one only ever makes it worse.
      ratio: Math.min(...runs.map(({ ratio }) => ratio))
    }
  }
}
