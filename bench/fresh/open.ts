/** `open.ts <folder> <collection>`: what it takes from a closed folder to a collection that can be searched. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { OpenedStore } from "../fresh.ts"
import { published } from "../published.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const { open } = await published()
const [folder = "", name = ""] = process.argv.slice(2)
collectGarbage()
const resident = process.memoryUsage.rss()
const start = performance.now()
const db = await open(folder)
const collection = await db.collection(name)
const ms = performance.now() - start
if (collection.size() === 0) throw new Error(`${name} is empty`)
collectGarbage()
const opened: OpenedStore = { ms, residentGrowth: process.memoryUsage.rss() - resident }
console.log(JSON.stringify(opened))
await db.close()
