/**
 * The package as it is published. A process that runs the sources, and each of its workers, takes the types out of every
 * file first, which takes longer than what is measured.
 */
import { execFileSync } from "node:child_process"
import { join } from "node:path"

/** Builds `dist/`. */
export const publish = (): void => {
  execFileSync(process.execPath, ["--run", "build"], { cwd: join(import.meta.dirname, "..") })
}

/** What `sabine` exports, from `dist/`. */
export const published = async (): Promise<typeof import("../src/index.ts")> => {
  const entry = new URL("../dist/index.js", import.meta.url).href
  return await import(entry)
}
