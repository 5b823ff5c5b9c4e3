/** The native addon: built by plain cargo, copied into place when its sources have changed. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inRepository } from "./paths.mjs"

const CRATE = inRepository("native")

/** The platform as the file name of an addon gives it; `src/core/native.ts` looks for the same. */
const triple = () => {
  const { platform, arch } = process
  if (platform === "win32") return `win32-${arch}-msvc`
  if (platform !== "linux") return `${platform}-${arch}`
  process.report.excludeNetwork = true
  return `linux-${arch}-${process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl"}`
}

const BINARY = join(CRATE, `simd-napi.${triple()}.node`)
/** Beside the binary: the digest of the sources it was built from, and its own. */
const STAMP = `${BINARY}.sha256`

const sha256 = (...contents) =>
  contents.reduce((hash, content) => hash.update(content), createHash("sha256")).digest("hex")

const sourceFiles = () => {
  const walk = (folder) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]
    )
  const manifests = ["Cargo.toml", "Cargo.lock", "build.rs"].map((name) => join(CRATE, name))
  return [...manifests, ...walk(join(CRATE, "src")).sort()]
}

const sourceDigest = () => sha256(...sourceFiles().flatMap((path) => [path.slice(CRATE.length), readFileSync(path)]))

const stampOf = (sources) => `${sources} ${sha256(readFileSync(BINARY))}\n`

/** Whether the binary is whole and was built from the present sources. */
export const addonIsCurrent = () =>
  existsSync(BINARY) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === stampOf(sourceDigest())

/** Path of the library that cargo reports having built. */
export const builtLibrary = (messages) => {
  const artifacts = messages.split("\n").filter((line) => line.includes('"compiler-artifact"'))
  const library = artifacts.map((line) => JSON.parse(line)).find(({ target }) => target.name === "simd_napi")
  const path = library?.filenames.find((name) => /\.(so|dylib|dll)$/.test(name))
  if (path === undefined) throw new Error("cargo built no dynamic library")
  return path
}

/** A reader sees the old file or the new one, whole, whenever it looks. */
const replace = (path, write) => {
  const temporary = `${path}.${process.pid}`
  write(temporary)
  renameSync(temporary, path)
}

/** Without cargo the engine still runs, on the scalar kernels; a binary of other sources must not be used. */
const goWithoutCargo = () => {
  if (existsSync(BINARY) && !existsSync(STAMP)) return
  const why = existsSync(BINARY) ? "the addon was built from other sources and cargo" : "cargo"
  rmSync(BINARY, { force: true })
  rmSync(STAMP, { force: true })
  console.log(`set-up: ${why} is not on the PATH, so the scalar kernels are used (slower)`)
}

/** Builds the addon where cargo is, and says so where it is not. */
export const buildAddon = () => {
  if (spawnSync("cargo", ["--version"]).error) return goWithoutCargo()
  console.log("set-up: building the native addon, about half a minute the first time")
  const sources = sourceDigest()
  const args = ["build", "--release", "--locked", "--message-format=json-render-diagnostics"]
  const stdio = ["ignore", "pipe", "inherit"]
  const { status, stdout, error } = spawnSync("cargo", args, {
    cwd: CRATE,
    stdio,
    encoding: "utf8",
    maxBuffer: 2 ** 28
  })
  if (status !== 0) throw new Error(`cargo build failed${error ? `: ${error.message}` : ""}`)
  replace(BINARY, (path) => copyFileSync(builtLibrary(stdout), path))
  replace(STAMP, (path) => writeFileSync(path, stampOf(sources)))
}
