/** The published package: packed, installed elsewhere, run on both Nodes and checked by its types. */
import assert from "node:assert/strict"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { inRepository, node22, npm, run } from "./programs.ts"

const RUNS = `
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import { open } from "sabine"
import { semanticCache } from "sabine/cache"
import { recallPool } from "sabine/recall"
import * as door from "sabine/effect"

const db = await open(":memory:")
const points = await db.collection("points", { dimensions: 2, metric: "l2", precision: "f32" })
await points.addMany([
  { key: "near", vector: Float32Array.of(1, 0) },
  { key: "far", vector: Float32Array.of(9, 9) }
])
const hits = await points.search(Float32Array.of(1, 1), { k: 1 })
assert.deepEqual(hits.map(({ key }) => key), ["near"])
assert.ok(Object.keys(door).length > 0)
const cache = await semanticCache(db)
await cache.set({ prompt: "a small cat" }, 1)
assert.equal((await cache.get({ prompt: "a small cat" })).isHit, true)
await cache.close()
const pool = await recallPool(db, { dimensions: 2 })
await pool.add({ key: "kept", embedding: [1, 1] })
assert.deepEqual((await pool.similar([1, 1])).map(({ key }) => key), ["kept"])
await pool.close()
assert.equal(createRequire(import.meta.url)("sabine").open, open)
await db[Symbol.asyncDispose]()
`

const WRITES = `
import { open } from "sabine"

const db = await open("database")
const points = await db.collection("points", { dimensions: 2 })
await points.add({ key: "near", vector: [1, 0], payload: "a" })
await db.save()
await points.add({ key: "far", vector: [9, 9], payload: "b" })
await db.close()
`

const CLOSED = `
import assert from "node:assert/strict"
const specifiers = ["sabine/dist/core/errors.js", "sabine/core/errors", "sabine/native", "sabine/dist/index.js"]
for (const specifier of specifiers) {
  await assert.rejects(import(specifier), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" })
}
const { default: manifest } = await import("sabine/package.json", { with: { type: "json" } })
assert.equal(manifest.name, "sabine")
`

const TYPED = `
import { open } from "sabine"
import { type Hit, semanticCache } from "sabine/cache"
import * as door from "sabine/effect"

export const nearest = async (vector: Float32Array): Promise<string | undefined> => {
  await using db = await open(":memory:")
  const points = await db.collection("points", { dimensions: 2 })
  // @ts-expect-error a key is a string
  await points.add({ key: 1, vector })
  const [hit] = await points.search(vector, { k: 1 })
  return hit?.key
}
export { door, type Hit, semanticCache }
`

const TSCONFIG = {
  compilerOptions: {
    target: "ES2023",
    lib: ["ES2023", "ESNext.Disposable"],
    types: ["node"],
    module: "NodeNext",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true
  },
  include: ["typed.ts"]
}

let folder: string
let consumer: string
let tarball: string
let packed: ReadonlyArray<string>

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-package-"))
  consumer = join(folder, "consumer")
  const pack = ["pack", "--json", "--foreground-scripts=false", `--pack-destination=${folder}`]
  const [{ filename, files }] = JSON.parse(await npm(pack, inRepository(".")))
  tarball = join(folder, filename)
  packed = files.map(({ path }: { readonly path: string }) => path)
  const { devDependencies } = JSON.parse(await readFile(inRepository("package.json"), "utf8"))
  await mkdir(consumer)
  const written = {
    "package.json": JSON.stringify({ name: "consumer", private: true, type: "module" }),
    "tsconfig.json": JSON.stringify(TSCONFIG),
    "runs.js": RUNS,
    "writes.js": WRITES,
    "closed.js": CLOSED,
    "typed.ts": TYPED
  }
  for (const [name, text] of Object.entries(written)) await writeFile(join(consumer, name), text)
  const types = `@types/node@${devDependencies["@types/node"]}`
  await npm(["install", "--no-audit", "--no-fund", "--ignore-scripts", tarball, types], consumer)
})

after(() => rm(folder, { recursive: true, force: true }))

test("the tarball holds what is published and nothing else", () => {
  const published =
    /^(dist\/.+\.(js|js\.map|d\.ts)|native\/simd-napi\.[\w-]+\.node|data\/(static-embedder|verifier)\/.+)$/
  const named = ["LICENSE", "NOTICE", "README.md", "package.json"]
  assert.deepEqual(
    packed.filter((path) => !published.test(path) && !named.includes(path)),
    []
  )
  const doors = ["index", "effect", "cache", "recall", "adapters/ai-sdk", "adapters/langchain"].flatMap((door) => [
    `dist/${door}.js`,
    `dist/${door}.d.ts`
  ])
  for (const path of [...named, ...doors, "dist/cli/main.js"]) {
    assert.ok(packed.includes(path), path)
  }
})

const tool = (path: string, ...args: ReadonlyArray<string>): Promise<string> =>
  run(process.execPath, [inRepository(`node_modules/${path}`), ...args], consumer)

test("both doors work once installed", async () => {
  await run(process.execPath, ["runs.js"], consumer)
})

test("both doors work on Node 22", async () => {
  await run(await node22(), ["runs.js"], consumer)
})

test("the command line works once installed, on both Nodes", async () => {
  const { bin, version } = JSON.parse(await readFile(join(consumer, "node_modules/sabine/package.json"), "utf8"))
  const folder = join(consumer, "database")
  await run(process.execPath, ["writes.js"], consumer)
  for (const node of [process.execPath, await node22()]) {
    const command = (...args: ReadonlyArray<string>) =>
      run(node, [join("node_modules/sabine", bin.sabine), ...args], consumer)
    assert.equal(await command("--version"), `${version}\n`)
    assert.equal(await command("verify", folder), "nothing is damaged\n")
    assert.equal(await command("repair", folder), "nothing is damaged\n")
  }
  assert.equal(await run(join(consumer, "node_modules/.bin/sabine"), ["--version"], consumer), `${version}\n`)
})

test("everything else is closed", async () => {
  await run(process.execPath, ["closed.js"], consumer)
})

test("the types resolve", async () => {
  await tool("typescript/bin/tsc")
})

test("publint finds nothing", async () => {
  await tool("publint/src/cli.js", "run", tarball, "--strict")
})

test("arethetypeswrong finds nothing", async () => {
  await tool("@arethetypeswrong/cli/dist/index.js", tarball, "--profile", "esm-only")
})
