/** Opening saved stores against plain reads of the same files, each in a fresh process. */
import { addBase } from "./adding.ts"
import type { Measured } from "./figure.ts"
import { addRandom } from "./filling.ts"
import { inFreshProcess, type OpenedStore } from "./fresh.ts"
import { publish } from "./published.ts"
import { COLLECTION, type SavedStore, saveStore } from "./saved.ts"
import { datasets, rowCounts, type Setting } from "./setting.ts"
import { median } from "./timing.ts"

export const about = "opening a saved store, against a plain read of its file into fresh memory"

const ROWS = 1_000_000
const ROUNDS = 9

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  publish()
  for (const rows of rowCounts(setting, ROWS)) {
    await using saved = await saveStore({ dimensions: 32, precision: "none" }, (collection) =>
      addRandom(collection, rows)
    )
    yield* opened(`${rows} binary-only`, "1.5, under 100 ms", saved)
  }
  for await (const dataset of datasets(setting)) {
    const { dimensions, rows } = dataset
    await using saved = await saveStore({ dimensions }, (collection) => addBase(collection, dataset))
    yield* opened(`${rows} x ${dimensions} f32`, "1.5", saved)
  }
}

/** Opens and reads the file in turns. */
async function* opened(
  name: string,
  target: string,
  { folder, file, fileBytes }: SavedStore
): AsyncGenerator<Measured> {
  const opens: Array<number> = []
  const reads: Array<number> = []
  for (let round = 0; round < ROUNDS; round++) {
    reads.push((await inFreshProcess<number>("read", file)).printed)
    opens.push((await inFreshProcess<OpenedStore>("open", folder, COLLECTION)).printed.ms)
  }
  const ratio = median(opens.map((ms, round) => ms / reads[round]!))
  const against = "a plain read of the file"
  yield { case: `${name}, bytes of the file`, value: fileBytes / 1e6, unit: "MB" }
  yield { case: `${name}, plain read`, value: median(reads), unit: "ms" }
  yield { case: `${name}, open`, value: median(opens), unit: "ms", against, ratio, target }
}
