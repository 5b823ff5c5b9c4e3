/** `cache.ts <folder>`: what it takes from a closed folder to a semantic cache that answers. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { CACHE, DIMENSIONS } from "../caching.ts"
import type { OpenedStore } from "../fresh.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const [folder = ""] = process.argv.slice(2)
collectGarbage()
const resident = process.memoryUsage.rss()
const start = performance.now()
const db = await open(folder)
const cache = await semanticCache(db, { ...CACHE, precision: "none" })
await cache.get({ prompt: "anything" }, { vector: new Float32Array(DIMENSIONS).fill(1) })
const ms = performance.now() - start
collectGarbage()
const opened: OpenedStore = { ms, residentGrowth: process.memoryUsage.rss() - resident }
console.log(JSON.stringify(opened))
await db.close()
