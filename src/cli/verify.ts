/** `sabine verify <path>`: what is wrong with the folder of a database. */
import type { Command } from "commander"
import type { Fault } from "../index.ts"
import { EXIT } from "./exit.ts"
import { print } from "./print.ts"
import { showProgress } from "./progress.ts"

export const addVerify = (program: Command): void => {
  program
    .command("verify")
    .description("Reads all of a database and says what is damaged; changes nothing.")
    .argument("<path>", "folder of the database, which must not be open")
    .option("--json", "print the outcome as one JSON object")
    .addHelpText("after", "\nExits with 0 when all is well, 1 when something is damaged, 2 when it could not be read.")
    .action(run)
}

const run = async (path: string, { json = false }: { readonly json?: boolean }): Promise<void> => {
  const { verify } = await import("../index.ts")
  const progress = await showProgress(`Reading ${path}`)
  const found = await verify(path, { onProgress: progress.update }).catch((error) => {
    progress.stop("stopped")
    throw error
  })
  const { faults, files, bytes, collections } = found
  progress.stop(`${files} files, ${bytes} bytes, ${collections.length} collections read`)
  if (json) print(JSON.stringify(found))
  else if (faults.length === 0) print("nothing is damaged")
  else for (const fault of faults) print(faultLine(fault))
  if (faults.length > 0) process.exitCode = EXIT.damaged
}

const faultLine = ({ path, bytes, rows, reason }: Fault): string => {
  if (bytes !== undefined) return `${path}: bytes ${bytes.from}..${bytes.to}: ${reason}`
  if (rows === undefined) return `${path}: ${reason}`
  const { table, from, to } = rows
  if (to === from) return `${path}: ${table} ${from}: ${reason}`
  return `${path}: ${table} ${from}..${to === Number.MAX_SAFE_INTEGER ? "" : to}: ${reason}`
}
