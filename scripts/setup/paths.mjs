/** Where things lie in the repository. */
import { fileURLToPath } from "node:url"

/** Absolute path of a file or folder, given from the root of the repository. */
export const inRepository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
