/** `sabine cache stats <path>`: what a cache holds, and what callers said of its hits. */
import type { Command } from "commander"
import type { SemanticCache } from "../../cache.ts"
import { print } from "../print.ts"
import { cacheCommand, type OpenedOptions, withCache } from "./opened.ts"

export const addStats = (parent: Command): void => {
  cacheCommand(parent, "stats", "Tells how many entries there are, what they take and what callers said of hits.")
    .option("--json", "print one JSON object")
    .action(run)
}

const run = async (path: string, { name, json = false }: OpenedOptions): Promise<void> => {
  const found = await withCache(path, name, statisticsOf)
  if (json) return print(JSON.stringify(found))
  const { entries, bytes, scopes, expired, oldest, newest, made, wrong } = found
  print(`${entries} entries in ${scopes} scopes, ${bytes} bytes`)
  if (oldest !== undefined && newest !== undefined) print(`made from ${dateOf(oldest)} to ${dateOf(newest)}`)
  if (expired > 0) print(`${expired} of them expired`)
  print(`they took ${made.inputTokens} + ${made.outputTokens} tokens, ${made.cost} in money, ${Math.round(made.ms)} ms`)
  const { rate, low, high } = wrong
  if (low === 0 && high === 1) return print("no caller has told whether a hit was right")
  print(
    `callers found ${percent(rate)} of the hits wrong that they told of (95 %: ${percent(low)} to ${percent(high)})`
  )
}

const dateOf = (ms: number): string => new Date(ms).toISOString()
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

const statisticsOf = async (cache: SemanticCache, now: number) => {
  const { entries, bytes, wrong } = cache.stats()
  const scopes = new Set<string>()
  const made = { inputTokens: 0, outputTokens: 0, cost: 0, ms: 0 }
  let expired = 0
  let oldest: number | undefined
  let newest: number | undefined
  for await (const entry of cache.entries()) {
    scopes.add(entry.scope)
    if (entry.expires <= now) expired++
    const time = now - entry.ageMs
    oldest = Math.min(time, oldest ?? time)
    newest = Math.max(time, newest ?? time)
    const { inputTokens = 0, outputTokens = 0, cost = 0 } = entry.notes
    made.inputTokens += inputTokens
    made.outputTokens += outputTokens
    made.cost += cost
    made.ms += entry.tookMs
  }
  return { entries, bytes, scopes: scopes.size, expired, oldest, newest, made, wrong: wrong.ofServed }
}
