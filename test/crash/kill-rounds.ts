/** Rounds of killing a writer at random moments and looking what is there. */
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, parse } from "node:path"
import { open } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { Oracle } from "./oracle.ts"
import { checkFound, openRows, statesOf } from "./rows.ts"
import { type Moment, startVictim, type Victim } from "./victim.ts"
import type { Start } from "./writer.ts"

/** Rounds that one folder sees, so that logs and images of several lives meet. */
const ROUNDS_A_FOLDER = 12
/** One round in so many kills while the folder is opened, within so many milliseconds. */
const OPENING_ROUNDS = 4
const OPENING_MS = 300
/** The others kill within so many events, and so many milliseconds after: a snapshot takes about as long. */
const EVENTS = 1000
const AFTER_MS = 20

const momentOf = (bits: () => number): Moment =>
  bits() % OPENING_ROUNDS === 0
    ? { events: 0, ms: bits() % OPENING_MS }
    : { events: 1 + Math.floor(EVENTS * (bits() / 2 ** 32) ** 2), ms: bits() % AFTER_MS }

export interface KillCounts {
  rounds: number
  /** Writes that were acknowledged before the kills. */
  acked: number
  /** Entries that were looked at after them. */
  entries: number
  /** Rounds that found an image. */
  images: number
  /** Checkpoints that were acknowledged, and restores and imports that were begun. */
  checkpoints: number
  restores: number
  lost: number
  resurrected: number
  partial: number
  readonly examples: Array<string>
}

interface KillOptions {
  readonly rounds: number
  readonly seed: number
  readonly durability?: Start["durability"]
  readonly environment?: (folder: string) => NodeJS.ProcessEnv
  /** What happens to the folder between a kill and the next opening. */
  readonly afterKill?: (folder: string, bits: () => number) => Promise<void>
  readonly onRound?: (counts: KillCounts) => void
}

/** Kills writers of one folder after another and counts what was lost. */
export const killRounds = async (options: KillOptions): Promise<KillCounts> => {
  const { rounds, seed, durability = "full", environment, afterKill, onRound } = options
  const bits = randomBits(seed)
  const counts: KillCounts = {
    rounds: 0,
    acked: 0,
    entries: 0,
    images: 0,
    checkpoints: 0,
    restores: 0,
    lost: 0,
    resurrected: 0,
    partial: 0,
    examples: []
  }
  let next: Victim | undefined
  while (counts.rounds < rounds) {
    const folder = await mkdtemp(join(tmpdir(), "sabine-crash-"))
    const oracle = new Oracle()
    const start = () => startVictim(environment?.(folder))
    next = start()
    for (let i = 0; i < ROUNDS_A_FOLDER && counts.rounds < rounds; i++) {
      const victim: Victim = next
      await victim.run(
        { folder, seed: bits(), durability, checkpoints: [...oracle.checkpoints] },
        oracle,
        momentOf(bits)
      )
      next = start()
      await afterKill?.(folder, bits)
      if ((await readdir(folder)).includes("rows.image")) counts.images++
      await using db = await open(folder, { threads: 1, durability })
      const collection = await openRows(db)
      const states = await statesOf(collection)
      await checkFound(collection, states)
      const { examples, ...losses } = oracle.settle(states)
      counts.rounds++
      counts.entries += states.size
      for (const kind of ["lost", "resurrected", "partial"] as const) counts[kind] += losses[kind]
      counts.examples.push(...examples.map((text) => `seed ${seed}, round ${counts.rounds}: ${text}`).slice(0, 3))
      onRound?.(counts)
    }
    next.discard()
    counts.acked += oracle.acked
    counts.checkpoints += oracle.kept
    counts.restores += oracle.restores
    await rm(folder, { recursive: true })
    const { dir, base } = parse(folder)
    const archives = (await readdir(dir)).filter((name) => name.startsWith(`${base}.archive`))
    for (const name of archives) await rm(join(dir, name), { force: true })
  }
  return counts
}

/** Counts of runs side by side. */
export const totalled = (all: ReadonlyArray<KillCounts>): KillCounts =>
  all.reduce((a, b) => ({
    rounds: a.rounds + b.rounds,
    acked: a.acked + b.acked,
    entries: a.entries + b.entries,
    images: a.images + b.images,
    checkpoints: a.checkpoints + b.checkpoints,
    restores: a.restores + b.restores,
    lost: a.lost + b.lost,
    resurrected: a.resurrected + b.resurrected,
    partial: a.partial + b.partial,
    examples: [...a.examples, ...b.examples]
  }))
