/** Whether a path names something, asked without holding up the event loop; whatever else the system says is a failure. */
import { access } from "node:fs/promises"
import { fails } from "./file-failure.ts"

const ABSENT: ReadonlyArray<string | undefined> = ["ENOENT", "ENOTDIR"]

export const isThere = async (path: string): Promise<boolean> => {
  try {
    await access(path)
    return true
  } catch (error) {
    const cause = error as NodeJS.ErrnoException
    return ABSENT.includes(cause.code) ? false : fails("find", path)(cause)
  }
}

/** Those of the paths that name something, in their order. */
export const thereOf = async (paths: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const found = await Promise.all(paths.map(isThere))
  return paths.filter((_, i) => found[i])
}
