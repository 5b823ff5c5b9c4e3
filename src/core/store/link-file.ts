/** A second name for a file that is never changed in place, such as an image: no bytes are copied where links are. */
import { constants, copyFile, link, open, rm } from "node:fs/promises"
import { fails } from "./file-failure.ts"

/** What file systems without links, or with too many to one file, and systems that do not allow them answer. */
const WITHOUT_LINKS = new Set(["EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EMLINK"])

/** Whether a link was refused with the code of a file system that has none. */
export const withoutLinks = (code: string | undefined): boolean => code !== undefined && WITHOUT_LINKS.has(code)

/** Gives `from` the name `to` as well, or copies it there. What had that name is gone. */
export const linkFile = async (from: string, to: string): Promise<void> => {
  await rm(to, { force: true }).catch(fails("remove", to))
  try {
    await link(from, to)
  } catch (error) {
    if (!withoutLinks((error as NodeJS.ErrnoException).code)) return fails("link", to)(error as NodeJS.ErrnoException)
    await duplicate(from, to, constants.COPYFILE_FICLONE)
  }
}

/** Copies a file, so that damage to the one is none to the other. */
export const duplicate = async (from: string, to: string, mode = 0): Promise<void> => {
  await copyFile(from, to, mode).catch(fails("copy", to))
  const file = await open(to, "r+").catch(fails("open", to))
  try {
    await file.sync().catch(fails("fsync", to))
  } finally {
    await file.close().catch(fails("close", to))
  }
}
