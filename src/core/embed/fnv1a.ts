/** FNV-1a over UTF-16 code units. */

/** Hash of no unit at all. */
export const EMPTY_HASH = 0x811c9dc5 | 0

/** Hash of a text one unit longer. */
export const extendHash = (hash: number, unit: number): number => Math.imul(hash ^ unit, 0x01000193)
