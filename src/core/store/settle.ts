/** Finishing a move of the key index without holding the event loop. */
import { forEachSliced } from "../slice.ts"
import type { Store } from "./store.ts"

/**
 * Leaves one key table: what an image holds, and what a table can grow from at once. Each step moves at least one
 * slot of the old one.
 */
export const settleKeys = (store: Store): Promise<void> =>
  forEachSliced(store.keys.previous?.length ?? 0, undefined, () => {
    if (store.keys.previous !== undefined) store.stepKeys()
  })
