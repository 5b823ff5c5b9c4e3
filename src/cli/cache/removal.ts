/** `sabine cache evict <path>` and `sabine cache invalidate <path>`: what is to go. */
import { type Command, Option } from "commander"
import type { EvictionName } from "../../cache.ts"
import { print } from "../print.ts"
import { cacheCommand, type OpenedOptions, withCache } from "./opened.ts"
import { invalidateStarting } from "./scopes.ts"
import { count, duration, scope } from "./values.ts"

/** Digits of the hash of a scope. */
const SCOPE_DIGITS = 64

interface Bounds extends OpenedOptions {
  readonly maxEntries?: number
  readonly maxBytes?: number
  readonly policy: EvictionName
}

interface Which extends OpenedOptions {
  readonly key?: string
  readonly tag?: string
  readonly source?: string
  readonly scope?: string
  readonly olderThan?: number
}

export const addEvict = (parent: Command): void => {
  cacheCommand(parent, "evict", "Deletes entries whose time is over, and what is beyond the bounds that are given.")
    .option("--max-entries <count>", "entries that may stay", count)
    .option(
      "--max-bytes <bytes>",
      "bytes that may stay, 65536 or more: above nine tenths of them, eight tenths stay",
      count
    )
    .addOption(
      new Option("--policy <name>", "what gives way first").choices(["lru", "lfu", "fifo", "diversity"]).default("lru")
    )
    .option("--json", "print the outcome as one JSON object")
    .action(evict)
}

export const addInvalidate = (parent: Command): void => {
  cacheCommand(parent, "invalidate", "Deletes the entries for which all that is given holds.")
    .option("--key <key>", "the entry of this key")
    .option("--tag <tag>", "entries with this tag")
    .option("--source <document>", "entries made from this document")
    .option("--scope <hex>", "entries of the scopes whose hash starts so", scope)
    .option("--older-than <age>", "entries of this age or older, such as 12h or 7d", duration)
    .option("--json", "print the outcome as one JSON object")
    .action(invalidate)
}

const told = (deleted: number, { json = false }: OpenedOptions): void =>
  print(json ? JSON.stringify({ deleted }) : `${deleted} entries deleted`)

const evict = async (path: string, options: Bounds): Promise<void> => {
  const { name, maxEntries, maxBytes, policy } = options
  const bounds = { maxEntries, maxBytes, eviction: policy }
  const deleted = await withCache(
    path,
    name,
    async (cache) => {
      // Opening it with smaller bounds has begun already.
      const begun = cache.stats().evicted
      return begun + (await cache.evict())
    },
    bounds
  )
  told(deleted, options)
}

const invalidate = async (path: string, options: Which): Promise<void> => {
  const { name, key, tag, source, scope: start, olderThan: olderThanMs } = options
  const which = { key, tag, source, olderThanMs }
  const deleted = await withCache(path, name, async (cache) => {
    if (start === undefined) return cache.invalidate(which)
    if (start.length === SCOPE_DIGITS) return cache.invalidate({ ...which, scope: start })
    return invalidateStarting(cache, start, which)
  })
  told(deleted, options)
}
