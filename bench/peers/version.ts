/** The version of an installed peer. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** As its own manifest says it. */
export const versionOf = (name: string): string =>
  JSON.parse(readFileSync(join(import.meta.dirname, "node_modules", name, "package.json"), "utf8")).version
