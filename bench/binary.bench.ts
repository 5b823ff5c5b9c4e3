/** Hamming search over 256-bit codes against reading as many bytes. */
import { kernels } from "../src/core/native.ts"
import type { Measured } from "./figure.ts"
import { bitViews, inTurn, scanner, streamer } from "./scanning.ts"
import { rowCounts, type Setting } from "./setting.ts"
import { codeBytes, randomCodes, randomVectors } from "./stores.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "top-10 by Hamming distance over 1,000,000 x 256 bits, one thread, against reading the codes"

const ROWS = 1_000_000
const QUERIES = 64

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for (const rows of rowCounts(setting, ROWS)) {
    const store = randomCodes(kernels, rows)
    const { dimensions } = store.shape
    const queries = { vectors: randomVectors(QUERIES, dimensions).base, count: QUERIES }
    const search = inTurn(queries, dimensions, scanner(store, { mode: "binary", k: 10 }))
    const bytes = codeBytes(rows)
    const megabytes = (bytes.length / 1e6).toFixed(1)
    const subjects = {
      search,
      stream: streamer(kernels, [bytes]),
      // The same bytes where the store has them: 2 MiB a segment.
      codes: streamer(kernels, bitViews(store))
    }
    for (const isa of kernels.isas()) {
      kernels.useIsa(isa)
      const times = await interleave(subjects)
      const against = `streamBytes of ${megabytes} MB`
      yield { case: `stream of ${megabytes} MB, ${isa}`, value: times.stream.p50, unit: "us" }
      yield {
        case: `top-10 of ${rows}, ${isa}`,
        value: times.search.p50,
        unit: "us",
        against,
        ratio: ratio(times.search, times.stream)
      }
      yield {
        case: `top-10 of ${rows} against its codes, ${isa}`,
        value: times.search.p50,
        unit: "us",
        against: "streamBytes of the codes in place",
        ratio: ratio(times.search, times.codes),
        target: "1.15"
      }
    }
  }
}
