/** A folder with two images and a log behind them, as bytes, and every state that it went through. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { open } from "../../src/index.ts"
import { keyOf } from "../concurrency/self-check.ts"
import { randomBits } from "../property/kernels/random.ts"
import { openRows, payloadOnly, stateOf, viewOf, wholeEntry } from "./rows.ts"

export interface Specimen {
  readonly name: string
  readonly files: ReadonlyMap<string, Buffer>
  /** What it holds. */
  readonly content: string
  /** What it held after each call, oldest first; the last is `content`. */
  readonly history: ReadonlyArray<string>
}

const ENTRIES = 24
const CALLS = 40

/** States of entries as a text that is the same for equal ones. */
export const contentOf = (states: ReadonlyMap<number, string>): string =>
  [...states]
    .sort(([a], [b]) => a - b)
    .map((pair) => pair.join("="))
    .join(" ")

/** Makes a folder, open as a kill leaves it and closed. */
export const makeSpecimens = async (): Promise<ReadonlyArray<Specimen>> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-specimen-"))
  const bits = randomBits(7)
  const states = new Map<number, string>()
  const history: Array<string> = [contentOf(states)]
  let version = 0

  const db = await open(folder, { threads: 1 })
  const collection = await openRows(db)
  const write = async (): Promise<void> => {
    const number = bits() % ENTRIES
    const view = viewOf(collection, number)
    const vector = states.get(number)?.split(".")[0]
    const next = ++version
    if (vector === undefined) await view.add(wholeEntry(number, next))
    else if (bits() % 4 === 0) await view.delete(keyOf(number))
    else if (bits() % 2 === 0) await view.update(wholeEntry(number, next))
    else {
      await view.update(payloadOnly(number, Number(vector), next))
      states.set(number, stateOf(Number(vector), next))
      history.push(contentOf(states))
      return
    }
    if ((await view.get(keyOf(number))) === undefined) states.delete(number)
    else states.set(number, stateOf(next, next))
    history.push(contentOf(states))
  }
  for (const isLast of [false, false, true]) {
    for (let i = 0; i < CALLS; i++) await write()
    if (!isLast) await db.save()
  }
  const content = contentOf(states)
  const killed = { name: "killed", files: await filesOf(folder), content, history }
  await db.close()
  const closed = { name: "closed", files: await filesOf(folder), content, history }
  await rm(folder, { recursive: true })
  return [killed, closed]
}

const filesOf = async (folder: string): Promise<ReadonlyMap<string, Buffer>> => {
  const names = (await readdir(folder)).filter((name) => name !== "lock" && !name.endsWith("-shm"))
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
}
