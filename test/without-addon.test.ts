/**
 * Without the addon everything works, and says so in one line: on a machine that has no binary, and where `SABINE_ISA`
 * turns it off. The tests of native variants are skipped then, with the reason.
 */
import assert from "node:assert/strict"
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { open } from "../src/index.ts"
import { inRepository, run, type Variables } from "./programs.ts"
import { randomVectors } from "./property/kernels/random.ts"

/** Enough rows for training, and few enough dimensions for it to be quick in TypeScript. */
const ROWS = 2100
const DIMENSIONS = 16
const QUERIES = 8
const MODES = ["exact", "flat", "binary"] as const

let folder: string
/** A copy of the repository that has no binary and cannot build one. */
let copy: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sabine-without-addon-"))
  copy = join(folder, "copy")
  await mkdir(copy)
  const isOurs = (path: string): boolean => !path.includes("node_modules")
  for (const name of ["src", "test", "scripts", "package.json", "package-lock.json"]) {
    await cp(inRepository(name), join(copy, name), { recursive: true, filter: isOurs })
  }
  for (const name of ["data", "node_modules"]) await symlink(inRepository(name), join(copy, name), "junction")
})

after(() => rm(folder, { recursive: true, force: true }))

/** Runs a program of the copy, or of the repository, with the variables that choose kernels cleared. */
const runIn = (root: string, args: ReadonlyArray<string>, variables: Variables = {}): Promise<string> =>
  run(process.execPath, args, root, { SABINE_ISA: undefined, SIMD_NAPI_PATH: undefined, ...variables })

/** Opens, adds, searches in all modes, saves and opens again: what the threads answered each time. */
const whole = (path: string): string => `
  import { open } from "./src/index.ts"
  import { randomVectors } from "./test/property/kernels/random.ts"
  const vectors = randomVectors(1, ${ROWS * DIMENSIONS})
  const queries = randomVectors(2, ${QUERIES * DIMENSIONS})
  const keys = Array.from({ length: ${ROWS} }, (_, i) => "k" + i)
  const answers = []
  const ask = async (items) => {
    const found = {}
    for (const mode of ${JSON.stringify(MODES)}) {
      const { keys, scores } = await items.searchMany(queries, { mode, k: 5 })
      found[mode] = { keys, scores: [...scores] }
    }
    answers.push({ found, entry: (await items.get("k7")).payload, stats: items.stats() })
  }
  for (const fresh of [true, false]) {
    const db = await open(${JSON.stringify(path)}, { threads: 2 })
    const items = await db.collection("items", { dimensions: ${DIMENSIONS} })
    if (fresh) {
      await items.addMany({ keys, vectors, payloads: keys })
      await items.delete("k3")
      await items.update({ key: "k7", payload: "updated" })
    }
    await ask(items)
    if (fresh) await db.save()
    await db.close()
  }
  console.log(JSON.stringify(answers))
`

interface Answer {
  readonly found: Readonly<
    Record<string, { readonly keys: ReadonlyArray<string>; readonly scores: ReadonlyArray<number> }>
  >
  readonly entry: unknown
  readonly stats: Readonly<Record<string, unknown>>
}

/** Runs the whole program, and asks this thread's kernels the same of what it saved. */
const checkWhole = async (name: string, root: string, reason: RegExp, variables?: Variables): Promise<void> => {
  const path = join(folder, name)
  const args = ["--input-type=module", "--eval", whole(path)]
  const [added, reopened] = JSON.parse(await runIn(root, args, variables)) as [Answer, Answer]
  assert.deepEqual(reopened.found, added.found)
  for (const { entry, stats } of [added, reopened]) {
    assert.equal(entry, "updated")
    assert.deepEqual([stats["isa"], stats["entries"], stats["encoder"]], ["scalar", ROWS - 1, "itq"])
    assert.match(String(stats["fallback"]), reason)
  }
  const db = await open(path)
  try {
    const items = await db.collection("items")
    const queries = randomVectors(2, QUERIES * DIMENSIONS)
    for (const mode of MODES) {
      const { keys, scores } = await items.searchMany(queries, { mode, k: 5 })
      const { [mode]: found } = added.found
      assert.deepEqual(keys, found?.keys, mode)
      for (const [i, score] of scores.entries()) assert.ok(Math.abs(score - found!.scores[i]!) < 1e-5, mode)
    }
  } finally {
    await db.close()
  }
}

test("a copy without a binary does everything, and tells which files it looked for", async () => {
  await checkWhole("no-binary", copy, /^no native addon: .*simd-napi\.[^\n]*Cannot find module[^\n]*$/)
})

test("SABINE_ISA=scalar-ts does everything", async () => {
  await checkWhole("scalar-ts", inRepository("."), /^SABINE_ISA is scalar-ts$/, { SABINE_ISA: "scalar-ts" })
})

test("set-up without cargo says so in one line and succeeds", async () => {
  const none = join(folder, "empty")
  await mkdir(none)
  const stdout = await runIn(copy, ["scripts/setup.mjs"], { PATH: none })
  assert.equal(stdout, "set-up: cargo is not on the PATH, so the scalar kernels are used (slower)\n")
})

test("the tests of native variants are skipped with the reason", async () => {
  const properties = "test/property/kernels"
  const native = (await readdir(join(copy, properties))).filter((name) => /^native-.*\.test\.ts$/.test(name))
  assert.ok(native.length > 1)
  const files = [...native, "crc32c.property.test.ts"].map((name) => join(properties, name))
  const tap = await runIn(copy, ["--test", "--test-reporter=tap", ...files])
  const skipped = [...tap.matchAll(/^ *ok \d+ - (.*) # SKIP (.*)$/gm)]
  assert.ok(skipped.length >= native.length + 1, tap)
  for (const [, name, reason] of skipped) assert.match(reason ?? "", /^no native addon: .*Cannot find module/, name)
  // Whatever did not run is in that list; the scalar definitions are still tested.
  assert.match(tap, new RegExp(`^# skipped ${skipped.length}$`, "m"))
  assert.match(tap, /^# fail 0$/m)
  assert.match(tap, /^# pass [1-9]/m)
})
