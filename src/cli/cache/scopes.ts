/** Scopes that are named by the start of their hash. */
import type { Invalidated, SemanticCache } from "../../cache.ts"

/** Entries whose deletion is waited for at once. */
const AT_ONCE = 256

/** Deletes entries of the scopes whose hash starts so, in one pass over all: there may be as many scopes as entries. */
export const invalidateStarting = async (
  cache: SemanticCache,
  start: string,
  which: Omit<Invalidated, "scope">
): Promise<number> => {
  let deleted = 0
  let removals: Array<Promise<number>> = []
  const removed = async () => {
    for (const count of await Promise.all(removals)) deleted += count
    removals = []
  }
  for await (const { key, scope } of cache.entries()) {
    if (!scope.startsWith(start) || (which.key !== undefined && which.key !== key)) continue
    if (removals.push(cache.invalidate({ ...which, key, scope })) === AT_ONCE) await removed()
  }
  await removed()
  return deleted
}
