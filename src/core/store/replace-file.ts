/** Replaces a file as a whole: whatever happens, its path names the old content or the new. */
import { type FileHandle, open, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { fails } from "./file-failure.ts"

/**
 * Gives `write` an empty file that takes the name `path` once it is on the disk; what had the name until then is
 * called `previous` from then on, where one is given. The folder has one writer, so the temporary name is fixed and
 * what a crash left of it is overwritten.
 */
export const replaceFile = async (
  path: string,
  write: (file: FileHandle) => Promise<void>,
  previous?: string
): Promise<void> => {
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, "w").catch(fails("open", temporary))
    try {
      await write(file)
      await file.sync().catch(fails("fsync", temporary))
    } finally {
      await file.close().catch(fails("close", temporary))
    }
    if (previous !== undefined) await rename(path, previous).catch(unless("ENOENT", fails("rename", path)))
    await rename(temporary, path).catch(fails("rename", path))
  } catch (error) {
    // The first failure is the one to report: what cannot be removed is overwritten next time.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncFolder(dirname(path))
}

/** A try before this one may have failed between the two names: then the old content has the other already. */
const unless =
  (code: string, fail: (cause: NodeJS.ErrnoException) => never) =>
  (cause: NodeJS.ErrnoException): void => {
    if (cause.code !== code) fail(cause)
  }

/** Makes the names in a folder durable. Windows cannot open folders, and does not need to. */
export const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === "win32") return
  const handle = await open(folder).catch(fails("open", folder))
  try {
    await handle.sync().catch(fails("fsync", folder))
  } finally {
    await handle.close().catch(fails("close", folder))
  }
}
