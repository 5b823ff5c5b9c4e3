/** A folder that was written to in every way, as bytes, with every state that each of its entries was in. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Collection, type CollectionOptions, type Entry, open } from "../src/index.ts"

export const NAME = "notes"
export const NAMESPACE = "acme"

export interface Specimen {
  readonly files: ReadonlyMap<string, Buffer>
  /** What it holds: entries as texts, by key, with those of the namespace after a slash. */
  readonly content: ReadonlyMap<string, string>
  /** Every state that an entry was in. */
  readonly states: ReadonlyMap<string, ReadonlySet<string>>
  /** What the collection held after each call, as a text. */
  readonly contents: ReadonlySet<string>
}

/** An entry as a text that is the same for equal ones. */
const entryText = ({ vector, payload, fields }: Entry): string => JSON.stringify([[...(vector ?? [])], payload, fields])

export const contentText = (content: ReadonlyMap<string, string>): string => JSON.stringify([...content].sort())

/** Everything that a collection holds, by key. */
export const contentOf = async (collection: Collection): Promise<Map<string, string>> => {
  const content = new Map<string, string>()
  for (const [prefix, view] of [
    ["", collection],
    ["/", collection.namespace(NAMESPACE)]
  ] as const) {
    for await (const entry of view.entries()) content.set(prefix + entry.key, entryText(entry))
  }
  return content
}

/** Files of a folder, but for what is no part of the database. */
export const filesOf = async (folder: string): Promise<Map<string, Buffer>> => {
  const names = (await readdir(folder, { withFileTypes: true })).filter(
    (entry) => entry.isFile() && entry.name !== "lock"
  )
  return new Map(await Promise.all(names.map(async ({ name }) => [name, await readFile(join(folder, name))] as const)))
}

/** Makes a folder of which the older image has the first of two entries, and the newest both. */
export const makeTwoImages = async (path: string): Promise<void> => {
  await using db = await open(path)
  const notes = await db.collection(NAME, { dimensions: 2 })
  await notes.add({ key: "a", vector: [1, 0] })
  await db.save()
  await notes.add({ key: "b", vector: [0, 1] })
  await db.save()
}

const CALLS = 90
const KEYS = 12

/** Makes a folder, as a kill leaves it and closed; `bits` draws what is written. */
export const makeSpecimens = async (
  options: CollectionOptions & { readonly dimensions: number },
  bits: () => number
): Promise<ReadonlyArray<Specimen>> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-salvage-"))
  const db = await open(folder, { threads: 1, durability: "relaxed", snapshots: false })
  const collection = await db.collection(NAME, options)
  const states = new Map<string, Set<string>>()
  const contents = new Set([contentText(new Map())])
  let content = new Map<string, string>()
  for (let call = 1; call <= CALLS; call++) {
    const number = bits() % KEYS
    const isScoped = number % 3 === 0
    const view = isScoped ? collection.namespace(NAMESPACE) : collection
    const key = `k${number}`
    const vector = Float32Array.from({ length: options.dimensions }, (_, i) => Math.fround(Math.sin(call * (i + 1))))
    const payload = { text: `call ${call}`, more: "x".repeat(bits() % 200) }
    const fields = { call, lang: `l${call % 5}` }
    const kind = bits() % 6
    if ((await view.get(key)) === undefined) await view.add({ key, vector, payload, fields })
    else if (kind === 0) await view.delete(key)
    else if (kind === 1) await view.update({ key, payload })
    else if (kind === 2) await view.update({ key, fields })
    else await view.update({ key, vector, payload, fields: { call: null, lang: fields.lang } })
    content = await contentOf(collection)
    contents.add(contentText(content))
    for (const [at, text] of content) states.set(at, (states.get(at) ?? new Set()).add(text))
    if (call === 30 || call === 45 || call === 70) await db.save()
  }
  const specimen = { content, states, contents }
  const killed = { ...specimen, files: await filesOf(folder) }
  await db.close()
  const closed = { ...specimen, files: await filesOf(folder) }
  await rm(folder, { recursive: true })
  return [killed, closed]
}
