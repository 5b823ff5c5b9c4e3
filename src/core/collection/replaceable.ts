/** What is left of a collection once its database has gone back to a checkpoint: an error that says so. */
import * as Effect from "effect/Effect"
import { CollectionReplaced } from "../errors.ts"
import type { CollectionLog } from "../log/storage.ts"
import type { Collection } from "./collection.ts"

/** A collection whose calls, and those of its namespaces, fail with `CollectionReplaced` once its log says that it was. */
export const replaceable = (log: CollectionLog | undefined, collection: Collection): Collection => {
  if (log === undefined) return collection
  const guarded = <S extends object>(service: S): S =>
    Object.fromEntries(
      Object.entries(service).map(([member, value]) => {
        if (typeof value !== "function") return [member, value]
        const call = (...args: ReadonlyArray<unknown>) => {
          const result: unknown = value(...args)
          if (!log.isReplaced) return member === "namespace" ? guarded(result as object) : result
          const error = new CollectionReplaced({ collection: log.name })
          if (Effect.isEffect(result)) return Effect.fail(error)
          throw error
        }
        return [member, call]
      })
    ) as S
  return guarded(collection)
}
