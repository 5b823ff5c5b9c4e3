/** Installs the peers beside the main package, never into it: npm's into this folder, Python's into the work folder. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import type { Needs } from "./catalogue.ts"

const FOLDER = import.meta.dirname
const isWindows = process.platform === "win32"

const run = (command: string, args: ReadonlyArray<string>, shell = false): void => {
  // Settings of the npm that started this program are those of the main package.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(config|package)_/i.test(name)))
  const { status, error } = spawnSync(command, args, {
    cwd: FOLDER,
    // What it says goes with what the harness says of its progress.
    stdio: ["ignore", process.stderr.fd, "inherit"],
    env,
    shell
  })
  if (status !== 0) throw new Error(`${basename(command)} ${args[0]} failed${error ? `: ${error.message}` : ""}`)
}

const isCurrent = (stamp: string, content: string): boolean =>
  existsSync(stamp) && readFileSync(stamp, "utf8") === content

/**
 * The locked peers, at their pinned versions. All are optional: one that cannot be built here is left out, and the table
 * says so. Not by `npm ci`, which refuses a lockfile that lacks a peer's builds for other platforms.
 */
const installNpm = (): void => {
  const locked = readFileSync(join(FOLDER, "package-lock.json"), "utf8")
  const stamp = join(FOLDER, "node_modules", ".installed")
  if (isCurrent(stamp, locked)) return
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
  const cli = process.env["npm_execpath"]
  if (cli !== undefined && basename(cli) === "npm-cli.js") run(process.execPath, [cli, ...args])
  else run("npm", args, isWindows)
  writeFileSync(stamp, locked)
}

/** The Python of the virtual environment, whether it is there or not. */
export const pythonOf = (work: string): string =>
  join(work, "venv", ...(isWindows ? ["Scripts", "python.exe"] : ["bin", "python"]))

/** A virtual environment in `work` that holds what a file of requirements names; returns its Python. */
export const pythonWith = (work: string, requirements: string): string => {
  const wanted = readFileSync(requirements, "utf8")
  const stamp = join(work, "venv", ".installed")
  const python = pythonOf(work)
  if (isCurrent(stamp, wanted)) return python
  run(isWindows ? "python" : "python3", ["-m", "venv", join(work, "venv")])
  run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements])
  writeFileSync(stamp, wanted)
  return python
}

/** Installs what the peers need; returns why some of it could not be had, by need. */
export const install = (needs: ReadonlySet<Needs>, work: string): ReadonlyMap<Needs, string> => {
  const failures = new Map<Needs, string>()
  const attempt = (need: Needs, action: () => void) => {
    if (!needs.has(need)) return
    try {
      action()
    } catch (error) {
      failures.set(need, error instanceof Error ? error.message : String(error))
    }
  }
  attempt("npm", installNpm)
  attempt("python", () => pythonWith(work, join(FOLDER, "requirements.txt")))
  return failures
}
