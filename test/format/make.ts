/**
 * Makes the folder of a release, once, when it is released: `node test/format/make.ts` writes `test/format/<version>`,
 * which is never changed after that. What it answers, `answers.json`, is what this version answers.
 */
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { open } from "../../src/index.ts"
import { inRepository } from "../programs.ts"
import { answersOf, fill } from "./contents.ts"

const { default: description } = await import("../../package.json", { with: { type: "json" } })
const folder = inRepository(`test/format/${description.version}`)
// Fails where there is one.
await mkdir(folder)
const data = join(folder, "data")
const db = await open(data, { threads: 1 })
await fill(db)
await writeFile(join(folder, "answers.json"), `${JSON.stringify(await answersOf(db), null, 2)}\n`)
await db.close()
// It holds for the file on this disk alone.
await rm(join(data, "records.sqlite.clean"))
