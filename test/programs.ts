/** Other programs that tests run: small ones of their own, npm, and the oldest Node that Sabine supports. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** Absolute path of a file or folder, given from the root of the repository. */
export const inRepository = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

const execute = promisify(execFile)

/** A program that hangs is a failure, not the end of the run. */
const TIMEOUT_MS = 10 * 60_000

/** A run inside a test would take itself for a part of that test. */
const { NODE_TEST_CONTEXT: _, ...environment } = process.env

/** Environment variables beside those of the tests; undefined takes one away. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Standard output of a program; a failure carries both of its outputs in its message. */
export const run = async (
  file: string,
  args: ReadonlyArray<string>,
  folder: string,
  variables: Variables = {}
): Promise<string> => {
  try {
    const { stdout } = await execute(file, args, {
      cwd: folder,
      env: { ...environment, ...variables },
      maxBuffer: 2 ** 26,
      timeout: TIMEOUT_MS
    })
    return stdout
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { readonly stdout?: string; readonly stderr?: string }
    throw new Error([message, stdout, stderr].join("\n"), { cause: error })
  }
}

/** Runs a program in which `SABINE` stands for the sources, and returns what it printed. */
export const program = (code: string, variables?: Variables): Promise<string> => {
  const sources = JSON.stringify(import.meta.resolve("../src/index.ts"))
  const args = ["--input-type=module", "--eval", code.replaceAll("SABINE", sources)]
  return run(process.execPath, args, inRepository("."), variables)
}

/** Runs the npm that runs this test, else the one on the PATH. */
export const npm = (args: ReadonlyArray<string>, folder: string): Promise<string> => {
  const cli = process.env["npm_execpath"]
  if (cli !== undefined && basename(cli) === "npm-cli.js") return run(process.execPath, [cli, ...args], folder)
  return run("npm", args, folder)
}

/** The executable of Node 22, installed apart so that it never takes the place of the Node of npm scripts. */
export const node22 = async (): Promise<string> => {
  const folder = inRepository("test/node-22")
  const executable = `${folder}/node_modules/node/bin/node`
  if (!existsSync(executable)) await npm(["ci", "--no-audit", "--no-fund"], folder)
  return executable
}
