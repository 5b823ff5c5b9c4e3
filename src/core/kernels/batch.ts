/** Rows encoded at once: enough to keep a tile of the encoder's matrix in cache, little enough scratch. */
export const BATCH = 64
