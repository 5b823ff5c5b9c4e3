/** The modules of package-lock.json, and the Node among them that npm scripts run on. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { inRepository } from "./paths.mjs"

const NODE = inRepository(process.platform === "win32" ? "node_modules/node/bin/node.exe" : "node_modules/.bin/node")

const readJson = (path) => JSON.parse(readFileSync(inRepository(path), "utf8"))

/** npm's own record of what it installed, written last: an interrupted install leaves none. */
const installedPackages = () => {
  try {
    return readJson("node_modules/.package-lock.json").packages
  } catch {
    // Missing, or in the hands of another install: either way there is something to wait for or to do.
    return undefined
  }
}

/** Whether every package of the lockfile is installed at the locked content. */
export const modulesAreCurrent = () => {
  const installed = installedPackages()
  if (installed === undefined) return false
  return Object.entries(readJson("package-lock.json").packages).every(
    ([path, { integrity, optional }]) => path === "" || optional || installed[path]?.integrity === integrity
  )
}

/** `npm ci` by the npm that runs this script, development dependencies included. */
export const installModules = () => {
  const args = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]
  const cli = process.env.npm_execpath
  const isNpm = cli !== undefined && basename(cli) === "npm-cli.js"
  const options = { cwd: inRepository("."), stdio: "inherit" }
  const { status, error } = isNpm
    ? spawnSync(process.execPath, [cli, ...args], options)
    : spawnSync("npm", args, { ...options, shell: process.platform === "win32" })
  if (status !== 0) throw new Error(`npm ci failed${error ? `: ${error.message}` : ""}`)
}

/** Fails unless the pinned Node is there, runs and is the one that npm scripts will meet first. */
export const checkNode = () => {
  const wanted = readJson("package.json").devDependencies.node
  const { stdout, error } = spawnSync(NODE, ["--version"], { encoding: "utf8" })
  const got = error ? error.code : stdout.trim()
  if (got === `v${wanted}`) return
  throw new Error(
    `node_modules/.bin/node should be Node ${wanted} and is not (${got}). The package \`node\` puts it there in its ` +
      "install script: allow install scripts (npm config get ignore-scripts), remove node_modules and try again."
  )
}
