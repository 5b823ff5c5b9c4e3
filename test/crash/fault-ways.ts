/** How file operations are made to fail, and which. */

export const EIO = 5
const EUCLEAN = 117
const [ENOSPC, EMFILE, EACCES, HALF] = [28, 24, 13, 0]
/** What tells of damage of the medium; all else is refused. */
export const OF_DAMAGE: ReadonlyArray<number> = [EIO, EUCLEAN]

/** What an operation fails with, and whether all after it do until a call of the store has failed. */
export const WAYS = [
  { code: EIO, lasts: false },
  { code: ENOSPC, lasts: false },
  { code: EMFILE, lasts: false },
  { code: HALF, lasts: false },
  { code: ENOSPC, lasts: true },
  { code: EMFILE, lasts: true }
]

/** Those that something is verified and repaired with, which has to tell what is damaged from what is refused. */
export const MENDING_WAYS = [...WAYS, { code: EACCES, lasts: false }, { code: EUCLEAN, lasts: false }]

/** All reads and writes come in halves, as the system may have them: nothing fails by that. */
export const HALVES = { from: 1, to: Number.MAX_SAFE_INTEGER, code: HALF }

/** Which calls of the scripts fail. */
export interface FaultPart {
  readonly first: number
  readonly step: number
  /** Each in every way, or in one of them. */
  readonly allWays: boolean
}
