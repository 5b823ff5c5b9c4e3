/** What the process ends with. */
export const EXIT = {
  fine: 0,
  /** Something is damaged, or was lost. */
  damaged: 1,
  /** The command was not understood or could not be carried out. */
  failed: 2
} as const
