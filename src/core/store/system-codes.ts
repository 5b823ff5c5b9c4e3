/** What the system says when it refuses, by its codes. */

/** Codes of Linux that Node has no name for, by their numbers. */
const UNNAMED: Readonly<Record<number, string>> =
  process.platform === "linux" ? { [-74]: "EBADMSG", [-117]: "EUCLEAN" } : {}

/**
 * What is said where what was written cannot be given back: by a disk, by a file system whose own structure is damaged, and
 * of a device that has no such place. SQLite takes EIO and ENXIO of a read for damage too.
 */
const UNREADABLE: ReadonlyArray<string | undefined> = ["EIO", "EUCLEAN", "EBADMSG", "ENXIO"]

/** The code of what the system said; undefined for an error of another kind. */
export const codeOf = ({ errno, code }: NodeJS.ErrnoException): string | undefined =>
  errno === undefined ? undefined : (UNNAMED[errno] ?? code)

/** Whether a code tells of damage of the medium. */
export const isUnreadable = (code: string | undefined): boolean => UNREADABLE.includes(code)
