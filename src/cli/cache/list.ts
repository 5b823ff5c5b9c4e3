/** `sabine cache list <path>` and `sabine cache export <path>`: entries for people, and for programs. */
import type { Command } from "commander"
import type { CachedEntry } from "../../cache.ts"
import { print, printNext } from "../print.ts"
import { cacheCommand, type OpenedOptions, withCache } from "./opened.ts"
import { count, scope } from "./values.ts"

interface Filters extends OpenedOptions {
  readonly tag?: string
  readonly source?: string
  readonly scope?: string
}

const withFilters = (command: Command): Command =>
  command
    .option("--tag <tag>", "entries with this tag alone")
    .option("--source <document>", "entries made from this document alone")
    .option("--scope <hex>", "entries of the scopes whose hash starts so alone", scope)

export const addList = (parent: Command): void => {
  withFilters(cacheCommand(parent, "list", "Lists entries, newest first: key, scope, time and question."))
    .option("--limit <count>", "entries at most", count, 20)
    .option("--json", "print each as one line of JSON, without its answer")
    .action(list)
}

export const addExport = (parent: Command): void => {
  withFilters(cacheCommand(parent, "export", "Prints every entry with its answer, each as one line of JSON."))
    .addHelpText("after", "\nWhat is kept in it may be private: an export has questions and answers as they are.")
    .action(exportAll)
}

/** A question on one line: it may be long, and may try to control a terminal. */
const lineOf = (text: string): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ")
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}

const passes = ({ notes, scope }: CachedEntry, wanted: Filters): boolean =>
  (wanted.tag === undefined || notes.tags?.includes(wanted.tag) === true) &&
  (wanted.source === undefined || notes.sources?.includes(wanted.source) === true) &&
  (wanted.scope === undefined || scope.startsWith(wanted.scope))

const list = async (path: string, options: Filters & { readonly limit: number }): Promise<void> => {
  const { name, limit, json = false } = options
  const { newest, total, now } = await withCache(path, name, async (cache, now) => {
    let newest: Array<Omit<CachedEntry, "value">> = []
    let total = 0
    const cut = () => {
      newest = newest.sort((a, b) => a.ageMs - b.ageMs).slice(0, limit)
    }
    for await (const entry of cache.entries()) {
      if (!passes(entry, options)) continue
      total++
      const { value, ...others } = entry
      // Only what may be printed is held.
      if (newest.push(others) > 2 * limit) cut()
    }
    cut()
    return { newest, total, now }
  })
  for (const entry of newest) {
    const { key, scope, ageMs, text } = entry
    if (json) print(JSON.stringify(entry))
    else print(`${key} ${scope.slice(0, 8)} ${new Date(now - ageMs).toISOString()} ${lineOf(text)}`)
  }
  if (!json && total > newest.length) print(`and ${total - newest.length} more`)
}

/** Bytes have no form in JSON: they are printed as base64. */
const printable = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value

const exportAll = (path: string, options: Filters): Promise<void> =>
  withCache(path, options.name, async (cache) => {
    for await (const entry of cache.entries()) {
      if (!passes(entry, options)) continue
      if (!(await printNext(JSON.stringify(entry, printable)))) return
    }
  })
