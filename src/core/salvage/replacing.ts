/**
 * Puts the files that salvaging made in the place of those there were, which stay in a folder beside them. Until then
 * nothing of the old is touched, and whenever it is interrupted salvaging can be done again: images first, the log last.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises"
import { basename, join } from "node:path"
import type { RowsLost } from "../errors.ts"
import { imagePaths, logPath } from "../folder.ts"
import { fails } from "../store/file-failure.ts"
import type { ImagePaths } from "../store/image-pair.ts"
import { thereOf } from "../store/is-there.ts"
import { duplicate, linkFile } from "../store/link-file.ts"
import { syncFolder } from "../store/replace-file.ts"
import { NOTE, noteLosses, stampOf, together, type Untold } from "./untold.ts"

/** Ends the name of a file that was made and is not in its place yet. */
const MADE = ".salvaged"
/** Starts the name of the folder that old files are kept in. */
const ASIDE = "damaged-"
/**
 * Files of SQLite, the mark of a log that was closed and how far it was flushed, beside the log. The write-ahead log goes
 * last: until then the old log is as whole as it was.
 */
const BESIDE = ["-shm", "-journal", ".clean", ".clean.tmp", ".flushed", "-wal"]

/** What a file is called while it is made. */
export const made = (path: string): string => path + MADE

/** Removes what an interrupted salvage left, but for what it has to tell. */
export const removeMade = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch(fails("read", folder))
  const left = names.filter((name) => name.includes(MADE) && name !== NOTE)
  for (const name of left) await rm(join(folder, name), { force: true }).catch(fails("remove", join(folder, name)))
}

/** Makes the previous image of the newest, by bytes of its own. */
export const copyMade = ({ newest, previous }: ImagePaths): Promise<void> => duplicate(made(newest), made(previous))

/**
 * Puts what was made of these collections in force, in place of all there was; returns the folder of the old files. What is
 * lost is noted first, beside what an interrupted switch had yet to tell.
 */
export const putInForce = async (
  folder: string,
  before: ReadonlyArray<string>,
  rebuilt: ReadonlyArray<string>,
  lost: { readonly before: Untold; readonly losses: ReadonlyArray<RowsLost>; readonly highest: number }
): Promise<string> => {
  const log = logPath(folder)
  const imagesOf = (names: ReadonlyArray<string>) => names.flatMap((name) => Object.values(imagePaths(folder, name)))
  const aside = await keep(folder, await thereOf([log, `${log}-wal`, ...imagesOf(before)]))
  const images = imagesOf(rebuilt)
  // Of a collection that could not be made again there is nothing but what is kept.
  const gone = await thereOf(imagesOf(before.filter((name) => !rebuilt.includes(name))))
  const stamp = await stampOf(log)
  const collections = ["", ...before].map((name) => {
    const earlier = lost.before.collections[name]?.losses ?? []
    const found = lost.losses.filter(({ collection }) => collection === name)
    return [name, { losses: together(earlier, found), highest: lost.highest, log: stamp }] as const
  })
  const moves = ["", ...before].map((name) => {
    const own = imagesOf(name === "" ? [] : [name])
    const moved = rebuilt.includes(name) ? own.map(made) : gone.filter((path) => own.includes(path))
    return [name, (moved.length > 0 ? moved : [made(log)]).map((path) => basename(path))] as const
  })
  await noteLosses(folder, {
    before: lost.before,
    after: { collections: Object.fromEntries(collections), aside: basename(aside) },
    moves: Object.fromEntries(moves)
  })
  for (const path of images) await rename(made(path), path).catch(fails("rename", path))
  // SQLite would take a write-ahead log of the old file for one of the new.
  for (const path of [...gone, ...BESIDE.map((end) => log + end)])
    await rm(path, { force: true }).catch(fails("remove", path))
  await rename(made(log), log).catch(fails("rename", log))
  await syncFolder(folder)
  await removeMade(folder)
  return aside
}

/** Gives files a second name in a new folder. */
const keep = async (folder: string, paths: ReadonlyArray<string>): Promise<string> => {
  const names = await readdir(folder).catch(fails("read", folder))
  const taken = names.map((name) => (name.startsWith(ASIDE) ? Number(name.slice(ASIDE.length)) : 0))
  const aside = join(folder, `${ASIDE}${Math.max(0, ...taken.filter(Number.isSafeInteger)) + 1}`)
  await mkdir(aside).catch(fails("create", aside))
  for (const path of paths) await linkFile(path, join(aside, basename(path)))
  await syncFolder(aside)
  await syncFolder(folder)
  return aside
}
