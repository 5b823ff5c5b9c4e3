/** No dead exports: what `src` exports is used by `src`, or is public through a door; what programs export is imported. */
import { test } from "node:test"
import ts from "typescript"
import { exportsOf, importsOf } from "./modules.ts"
import { assertNone, filesIn, nodesOf, parse, SOURCE_FOLDERS } from "./repository.ts"

const DOORS = [
  "src/index.ts",
  "src/effect.ts",
  "src/cache.ts",
  "src/recall.ts",
  "src/adapters/ai-sdk.ts",
  "src/adapters/langchain.ts"
]
/** Scalar definitions are also the oracle of every variant, and the layout is what `plan.rs` is compared with. */
const ORACLES = ["src/core/kernels/", "src/core/store/layout.ts"]

const sources = filesIn(["src"], [".ts"])

const importsByTarget = (paths: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(paths.flatMap(importsOf).flatMap(({ target, names }) => names.map((name) => `${target}#${name}`)))

/** Names of worker functions are strings: `pool.run(plan, { name: "search" })`. */
const namesInStrings = (): ReadonlySet<string> =>
  new Set(
    sources.flatMap((path) =>
      [...nodesOf(parse(path))].filter((node) => ts.isStringLiteralLike(node)).map(({ text }) => text)
    )
  )

test("every export of src is used in src or re-exported by a door", () => {
  const used = importsByTarget(sources)
  const tested = importsByTarget(filesIn(["test"], [".ts"]))
  const strings = namesInStrings()
  const isUsed = (uses: ReadonlySet<string>, path: string, name: string): boolean =>
    uses.has(`${path}#${name}`) || uses.has(`${path}#*`)
  const isAlive = (path: string, name: string): boolean =>
    isUsed(used, path, name) ||
    (ORACLES.some((oracle) => path.startsWith(oracle)) && isUsed(tested, path, name)) ||
    (path.startsWith("src/workers/") && (name === "default" || strings.has(name)))
  const dead = sources
    .filter((path) => !DOORS.includes(path))
    .flatMap((path) =>
      exportsOf(path)
        .filter((name) => !isAlive(path, name))
        .map((name) => `${path}: ${name}`)
    )
  assertNone(dead)
})

/** Imported by the name of a bench: `npm run bench -- flat`. */
const BENCH = { file: /^bench\/[\w-]+\.bench\.ts$/, names: ["about", "figures"] }

test("every export of bench, scripts and examples is imported", () => {
  const used = importsByTarget(filesIn(SOURCE_FOLDERS, [".ts", ".mjs"]))
  const isAlive = (path: string, name: string): boolean =>
    used.has(`${path}#${name}`) || used.has(`${path}#*`) || (BENCH.file.test(path) && BENCH.names.includes(name))
  const dead = filesIn(["bench", "scripts", "examples"], [".ts"]).flatMap((path) =>
    exportsOf(path)
      .filter((name) => !isAlive(path, name))
      .map((name) => `${path}: ${name}`)
  )
  assertNone(dead)
})

test("every module of src is reached from a door or is started as a worker", () => {
  const reached = new Set<string>()
  const visit = (path: string): void => {
    if (reached.has(path) || !sources.includes(path)) return
    reached.add(path)
    for (const { target } of importsOf(path)) visit(target)
  }
  const entries = sources.filter((path) => DOORS.includes(path) || /^src\/(workers|servers|cli|adapters)\//.test(path))
  for (const path of entries) visit(path)
  assertNone(sources.filter((path) => !reached.has(path) && !path.endsWith(".d.ts")))
})
