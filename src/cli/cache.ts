/** `sabine cache …`: what looks after a semantic cache from outside, while no process has its database open. */
import type { Command } from "commander"
import { addCalibrate } from "./cache/calibrate.ts"
import { addExport, addList } from "./cache/list.ts"
import { addEvict, addInvalidate } from "./cache/removal.ts"
import { addStats } from "./cache/stats.ts"

export const addCache = (program: Command): void => {
  const cache = program
    .command("cache")
    .description("Looks after a semantic cache: what is in it, what is to go, how sure it has to be.")
  for (const add of [addStats, addList, addCalibrate, addEvict, addInvalidate, addExport]) add(cache)
}
