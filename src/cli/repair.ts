/** `sabine repair <path>`: makes a damaged database whole again of what it still holds, and says what it lost. */
import type { Command } from "commander"
import type { RowsLost } from "../index.ts"
import { EXIT } from "./exit.ts"
import { print } from "./print.ts"
import { showProgress } from "./progress.ts"

/** Keys that are printed of each loss; `--json` has all that are named. */
const SHOWN_KEYS = 20

export const addRepair = (program: Command): void => {
  program
    .command("repair")
    .description("Makes a damaged database whole again of what it still holds; keeps the old files.")
    .argument("<path>", "folder of the database, which must not be open")
    .option("--json", "print the outcome as one JSON object")
    .addHelpText(
      "after",
      "\nThe files of before are kept in a folder damaged-<number> in it, which is a database as well." +
        "\nExits with 0 when nothing is lost, 1 when something is, 2 when it could not be done."
    )
    .action(run)
}

const run = async (path: string, { json = false }: { readonly json?: boolean }): Promise<void> => {
  const { repair } = await import("../index.ts")
  const progress = await showProgress(`Reading ${path}`)
  const outcome = await repair(path, { onProgress: progress.update }).catch((error) => {
    progress.stop("stopped")
    throw error
  })
  const { faults, losses, collections, aside } = outcome
  progress.stop(`${faults.length} faults found`)
  if (json) print(JSON.stringify({ ...outcome, losses: losses.map(plain) }))
  else if (aside === undefined) print("nothing is damaged")
  else {
    for (const { name, rows, reembedded } of collections) {
      print(
        `${name}: ${rows} entries${reembedded > 0 ? `, ${reembedded} of them embedded again from their texts` : ""}`
      )
    }
    for (const loss of losses) for (const line of lossLines(loss)) print(line)
    if (losses.length === 0) print("nothing is lost")
    print(`the files of before are in ${aside}`)
  }
  if (losses.length > 0) process.exitCode = EXIT.damaged
}

/** A loss without what makes it an error. */
const plain = ({ collection, rows, keys, reason }: RowsLost) => ({ collection, rows, keys, reason })

const lossLines = ({ message, keys, rows }: RowsLost): ReadonlyArray<string> => {
  const shown = keys.slice(0, SHOWN_KEYS).map(({ namespace, key }) => {
    const scope = namespace === undefined ? "" : `${JSON.stringify(namespace)} `
    return `  ${scope}${JSON.stringify(key)}`
  })
  const more = (rows ?? keys.length) - shown.length
  return [`lost: ${message}`, ...shown, ...(more > 0 && shown.length > 0 ? [`  and ${more} more`] : [])]
}
