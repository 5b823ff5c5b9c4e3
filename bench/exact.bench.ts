/** Exact search against reading the stored vectors. */
import { kernels } from "../src/core/native.ts"
import type { Measured } from "./figure.ts"
import { inTurn, scanner, streamer, vectorViews } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { blankEncoder, filledStore } from "./stores.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "exact top-10 by stored f32, f16 and int8 vectors, one thread, against reading them"

const STORED = ["f32", "f16", "int8"] as const

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    const { dimensions, queries } = dataset
    for (const precision of STORED) {
      const store = filledStore(kernels, dataset, precision, blankEncoder(kernels, dimensions))
      const search = inTurn(queries[0]!, dimensions, scanner(store, { mode: "exact", k: 10 }))
      const views = vectorViews(store)
      const stream = streamer(kernels, views)
      const megabytes = (views.reduce((sum, view) => sum + view.length, 0) / 1e6).toFixed(1)
      for (const isa of kernels.isas()) {
        kernels.useIsa(isa)
        const times = await interleave({ stream, search }, { rounds: 5 })
        yield { case: `stream of ${megabytes} MB, ${isa}`, value: times.stream.p50, unit: "us" }
        yield {
          case: `${precision} ${dataset.rows} x ${dimensions}, ${isa}`,
          value: times.search.p50,
          unit: "us",
          against: `streamBytes of ${megabytes} MB`,
          ratio: ratio(times.search, times.stream),
          target: "1.15"
        }
      }
    }
  }
}
