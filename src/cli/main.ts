#!/usr/bin/env node
/**
 * The command line. Each command is a file that adds itself to the program and loads the library only when it runs, so
 * that help is there at once.
 */
import { readFileSync } from "node:fs"
import { Command } from "commander"
import { addCache } from "./cache.ts"
import { EXIT } from "./exit.ts"
import { addRepair } from "./repair.ts"
import { addVerify } from "./verify.ts"

const { version, description } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))

const program = new Command("sabine")
  .description(description)
  .version(version)
  .exitOverride(({ exitCode }) => process.exit(exitCode === EXIT.fine ? EXIT.fine : EXIT.failed))
  .showHelpAfterError()

addVerify(program)
addRepair(program)
addCache(program)

await program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`sabine: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = EXIT.failed
})
