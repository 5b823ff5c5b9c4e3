/** `cargo fmt`, `cargo clippy` and `cargo test` on the crate, where cargo and each component is. */
import { spawnSync } from "node:child_process"
import { inRepository } from "./setup/paths.mjs"

const cargo = (args, stdio) => spawnSync("cargo", args, { cwd: inRepository("native"), stdio })
const isThere = (...command) => cargo([...command, "--version"], "ignore").status === 0

const steps = [
  { needs: ["fmt"], args: ["fmt", "--check"] },
  { needs: ["clippy"], args: ["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"] },
  { needs: [], args: ["test", "--locked"] }
]

for (const { needs, args } of steps) {
  if (!isThere(...needs)) console.log(`native tests: skipped cargo ${args[0]}, which is not installed`)
  else if (cargo(args, "inherit").status !== 0) process.exit(1)
}
