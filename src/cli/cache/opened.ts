/** The cache that a command is about. */
import { stat } from "node:fs/promises"
import { join } from "node:path"
import type { Command } from "commander"
import type { CacheOptions, SemanticCache } from "../../cache.ts"

/** Options of every command that opens a cache. */
export interface OpenedOptions {
  readonly name: string
  readonly json?: boolean
}

/** A command on the cache of a database. */
export const cacheCommand = (parent: Command, name: string, description: string): Command =>
  parent
    .command(name)
    .description(description)
    .argument("<path>", "folder of the database, which must not be open")
    .option("--name <collection>", "collection of the cache", "cache")

/**
 * Calls `use` with a cache as it is at one moment, in milliseconds since 1970, which ages are told from: nothing is embedded or
 * deleted in passing, and nothing is made where there is none.
 */
export const withCache = async <A>(
  path: string,
  name: string,
  use: (cache: SemanticCache, now: number) => Promise<A>,
  options: CacheOptions = {}
): Promise<A> => {
  const [{ open }, { semanticCache }] = await Promise.all([import("../../index.ts"), import("../../cache.ts")])
  // An opening would make a database of a folder that is none.
  await stat(join(path, "records.sqlite"))
  await using db = await open(path)
  const names = await db.collections()
  if (!names.includes(name)) throw new Error(`no collection ${name} in ${path}: it has ${names.join(", ") || "none"}`)
  const { shape } = await db.collection(name)
  const { dimensions, precision, seed } = shape
  // Its owner knows the bounds: none here, or looking at it would evict what is beyond the usual ones.
  const { maxBytes = Number.MAX_SAFE_INTEGER, ...others } = options
  const now = Date.now()
  const looking = { name, dimensions, precision, seed, maxBytes, sweepMs: false, clock: () => now } as const
  await using cache = await semanticCache(db, { ...looking, ...others })
  return await use(cache, now)
}
