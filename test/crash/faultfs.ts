/** The library that fails file operations or takes them back, built where there is Linux and cargo. */
import { spawnSync } from "node:child_process"
import { inRepository } from "../programs.ts"

/** Where cargo puts it. */
const TARGET = inRepository("native/target/faultfs")

/** Path of the library, or why there is none. */
export const buildFaultfs = (): { readonly library: string } | { readonly reason: string } => {
  if (process.platform !== "linux") return { reason: "LD_PRELOAD is of Linux" }
  const args = ["build", "--release", "--locked", "--offline", "--target-dir", TARGET]
  const { error, status, stderr } = spawnSync("cargo", args, {
    cwd: inRepository("native/faultfs"),
    encoding: "utf8"
  })
  if (error !== undefined) return { reason: "cargo is not on the PATH" }
  if (status !== 0) throw new Error(stderr)
  return { library: `${TARGET}/release/libfaultfs.so` }
}
