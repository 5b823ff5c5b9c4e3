/** The collection that crash suites write, and what each of its entries must look like to be whole. */
import assert from "node:assert/strict"
import type { Collection, CollectionOptions, Database, EntryInput } from "../../src/index.ts"
import "./compiled.ts"
import { checkEntry, DIMENSIONS, entryOf, keyOf, markOf, vectorOf } from "../concurrency/self-check.ts"

/** Versions of the vector and of the payload of an entry, as `vector.payload`; absent for no entry. */
export type State = string | undefined

export const NAME = "rows"
export const OPTIONS: CollectionOptions = {
  dimensions: DIMENSIONS,
  metric: "l2",
  index: "none",
  fields: { payload: "number" }
}
/** Odd numbers are entries of this namespace, even ones of none. */
const NAMESPACE = "odd"

/** The view that an entry of this number is in. */
export const viewOf = (collection: Collection, number: number) =>
  number % 2 === 0 ? collection : collection.namespace(NAMESPACE)

/** An entry whose parts are all of one version. */
export const wholeEntry = (number: number, version: number): EntryInput => ({
  ...entryOf(number, version),
  fields: { payload: version }
})

/** A change of the payload and the field alone. */
export const payloadOnly = (number: number, vector: number, payload: number): EntryInput => ({
  key: keyOf(number),
  payload: markOf(number, vector, payload),
  fields: { payload }
})

/** What a collection holds, by number; fails where an entry is not whole or a search does not find it. */
export const statesOf = async (collection: Collection): Promise<Map<number, string>> => {
  const states = new Map<number, string>()
  for (const view of [collection, collection.namespace(NAMESPACE)]) {
    let count = 0
    for await (const entry of view.entries()) {
      const number = Number(entry.key.slice(keyOf(0).length - 1))
      const mark = checkEntry(number, entry)
      assert.equal(entry.fields?.["payload"], mark.payload, `fields of ${entry.key} are of another write`)
      assert.ok(!states.has(number), `${entry.key} is there twice`)
      assert.ok(view === viewOf(collection, number) || number % 2 === 1, `${entry.key} is in another namespace`)
      states.set(number, stateOf(mark.version, mark.payload))
      count++
    }
    assert.equal(view.size(), count, "the size is not that of the entries")
  }
  return states
}

/** Fails unless some of the entries are found by their keys, and are the nearest to their own vectors. */
export const checkFound = async (collection: Collection, states: ReadonlyMap<number, string>): Promise<void> => {
  const step = Math.max(1, Math.floor(states.size / 8))
  for (const [i, [number, state]] of [...states].entries()) {
    if (i % step > 0) continue
    const view = viewOf(collection, number)
    const vector = vectorOf(number, Number(state.split(".")[0]))
    const [hit] = await view.search(vector, { k: 1, mode: "exact" })
    assert.equal(hit?.key, keyOf(number), "an entry is not the nearest to its own vector")
    checkEntry(number, (await view.get(keyOf(number)))!)
  }
}

export const stateOf = (vector: number, payload: number): string => `${vector}.${payload}`

/** Opens the collection of a database. */
export const openRows = (db: Database): Promise<Collection> => db.collection(NAME, OPTIONS)
