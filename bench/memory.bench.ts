/** What an entry of a binary-only store costs, to the byte. */
import type { CollectionStats } from "../src/index.ts"
import type { Measured } from "./figure.ts"
import { addRandom } from "./filling.ts"
import { inFreshProcess, type OpenedStore } from "./fresh.ts"
import { publish } from "./published.ts"
import { COLLECTION, saveStore } from "./saved.ts"
import { rowCounts, type Setting } from "./setting.ts"

export const about = "bytes an entry of a binary-only store of 1,000,000, by column and in all"

const ROWS = 1_000_000
/** Keys and payloads, and where they lie, are records: the bound is for what searching and finding touches. */
const RECORDS = "records"

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  publish()
  for (const rows of rowCounts(setting, ROWS)) {
    await using saved = await saveStore({ dimensions: 32, precision: "none" }, (collection) =>
      addRandom(collection, rows)
    )
    // A process that only opens it: where it was filled, garbage and workers would count as well.
    const { printed } = await inFreshProcess<OpenedStore>("open", saved.folder, COLLECTION)
    yield* entryFigures(saved.stats, printed.residentGrowth)
  }
}

function* entryFigures({ columns, bytes, entries }: CollectionStats, grown: number): Generator<Measured> {
  const unit = "B/entry"
  const records = columns[RECORDS]!
  const touched = bytes.touched - records.touched
  const allocated = bytes.allocated - records.allocated
  for (const [name, column] of Object.entries(columns)) {
    yield { case: `${name}, ${entries} entries`, value: column.touched / entries, unit }
  }
  const against = "touched rows and key index"
  yield { case: against, value: touched / entries, unit, target: "50.0" }
  yield { case: "allocated rows and key index", value: allocated / entries, unit, against, ratio: allocated / touched }
  yield { case: "allocated records", value: records.allocated / entries, unit }
  const all = "everything touched, records included"
  yield {
    case: "resident set after opening it",
    value: grown / entries,
    unit,
    against: all,
    ratio: grown / bytes.touched
  }
}
