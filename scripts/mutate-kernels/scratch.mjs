/** A copy of the repository to break: its files as they are now, with an addon of its own. */
import { spawnSync } from "node:child_process"
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { builtLibrary } from "../setup/addon.mjs"
import { inRepository } from "../setup/paths.mjs"

/** A fault may make a loop endless: no test comes near this without one. */
const TIMEOUT_MS = 300_000

/** The checks of a debug build would notice faults that a release build does not. */
const PROFILE = {
  CARGO_PROFILE_DEV_OPT_LEVEL: "1",
  CARGO_PROFILE_DEV_DEBUG: "false",
  CARGO_PROFILE_DEV_DEBUG_ASSERTIONS: "false",
  CARGO_PROFILE_DEV_OVERFLOW_CHECKS: "false",
  // Kept between runs: dependencies are built once.
  CARGO_TARGET_DIR: inRepository("native/target/mutants")
}

const { SABINE_ISA: _isa, SIMD_NAPI_PATH: _path, NODE_TEST_CONTEXT: _context, ...environment } = process.env

export class Scratch {
  #root = mkdtempSync(join(tmpdir(), "sabine-mutants-"))
  #addon = join(this.#root, "addon.node")

  constructor() {
    const args = [
      "ls-files",
      "-z",
      "--cached",
      "--others",
      "--exclude-standard",
      "src",
      "test",
      "native",
      "package.json"
    ]
    const { stdout } = spawnSync("git", args, { cwd: inRepository("."), encoding: "utf8" })
    for (const path of stdout.split("\0").filter(Boolean)) cpSync(inRepository(path), this.#path(path))
    for (const name of ["data", "node_modules"]) symlinkSync(inRepository(name), this.#path(name), "junction")
  }

  remove() {
    rmSync(this.#root, { recursive: true, force: true })
  }

  read(file) {
    return readFileSync(this.#path(file), "utf8")
  }

  write(file, text) {
    writeFileSync(this.#path(file), text)
  }

  /** Whether a module loads: a fault that does not even parse proves nothing. */
  loads(file) {
    return this.#run(process.execPath, [file], ".").status === 0
  }

  /** Builds the addon that tests load from then on; false when it does not build. */
  buildAddon() {
    const { status, stdout } = this.#run("cargo", ["build", "--locked", "--message-format=json"], "native")
    if (status === 0) copyFileSync(builtLibrary(stdout), this.#addon)
    return status === 0
  }

  /** Instruction sets that the addon has here; undefined when the TypeScript kernels are in use. */
  isas() {
    const code =
      'import { fallback, kernels } from "./src/core/native.ts"\nconsole.log(fallback ?? kernels.isas().join())'
    const { stdout } = this.#run(process.execPath, ["--input-type=module", "--eval", code], ".")
    return /^[\w,]+$/.test(stdout.trim()) ? stdout.trim().split(",") : undefined
  }

  /** Runs tests by file and by the start of their names: whether one of them ran, and whether all passed. */
  test(file, name, isa) {
    const pattern = `^${name}${isa === undefined ? "" : `.* on ${isa}$`}`
    const args = ["--test", "--test-reporter=tap", `--test-name-pattern=${pattern}`, file]
    const { status, stdout } = this.#run(process.execPath, args, ".")
    const ran = stdout.split("\n").some((line) => line.includes(`ok 1 - ${name}`) && !line.includes("# SKIP"))
    return { ran, passed: status === 0 }
  }

  /** The same for the tests of the crate whose path contains `name`. */
  testInRust(name) {
    const { status, stdout } = this.#run("cargo", ["test", "--locked", "--lib", name], "native")
    return { ran: /^test result: ok. [1-9]/m.test(stdout), passed: status === 0 }
  }

  #path(path) {
    return join(this.#root, path)
  }

  #run(file, args, folder) {
    return spawnSync(file, args, {
      cwd: join(this.#root, folder),
      env: { ...environment, ...PROFILE, SIMD_NAPI_PATH: this.#addon },
      encoding: "utf8",
      maxBuffer: 2 ** 28,
      timeout: TIMEOUT_MS
    })
  }
}
