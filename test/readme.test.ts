/** Every example of the README and of the guides runs as it stands, each in a process and folder of its own. */
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { run } from "./programs.ts"

const DOORS = {
  '"sabine"': "../src/index.ts",
  '"sabine/effect"': "../src/effect.ts",
  '"sabine/cache"': "../src/cache.ts",
  '"sabine/recall"': "../src/recall.ts",
  '"sabine/ai-sdk"': "../src/adapters/ai-sdk.ts",
  '"sabine/langchain"': "../src/adapters/langchain.ts"
}

const DOCUMENTS = ["README.md", "docs/recall.md"]

const documents = await Promise.all(
  DOCUMENTS.map(async (name) => {
    const text = await readFile(new URL(`../${name}`, import.meta.url), "utf8")
    return { name, examples: [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code) }
  })
)

/** The example with its imports pointed at the sources. */
const runnable = (code: string): string => {
  let out = code
  for (const [name, file] of Object.entries(DOORS)) {
    out = out.replace(name, JSON.stringify(new URL(file, import.meta.url).href))
  }
  return out.replaceAll(/"(effect\/\w+|ai|ai\/test|@langchain\/core\/[\w/]+)"/g, (_, name) =>
    JSON.stringify(import.meta.resolve(name))
  )
}

for (const { name, examples } of documents) {
  test(`${name} has examples`, () => assert.ok(examples.length >= 5))

  for (const [i, code] of examples.entries()) {
    test(`${name}, example ${i + 1}: ${code.split("\n").find((line) => line.includes("import"))}`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), "sabine-readme-"))
      t.after(() => rm(folder, { recursive: true }))
      const file = join(folder, "example.mts")
      await writeFile(file, runnable(code))
      const stdout = await run(process.execPath, [file], folder)
      assert.notEqual(stdout.trim(), "", "an example prints what it found")
    })
  }
}
