/** The dependency direction: who may import whom, and what a worker must never load. */
import { test } from "node:test"
import { type Import, importsOf } from "./modules.ts"
import { assertNone, filesIn, SOURCE_FOLDERS } from "./repository.ts"

const MEMORIES = ["cache", "recall", "memory", "rag", "chat"]

/** The layer of a module of `src`; the first prefix that fits. */
const LAYERS: ReadonlyArray<readonly [prefix: string, layer: string]> = [
  ["src/core/kernels/", "kernels"],
  ["src/core/store/layout.ts", "layout"],
  ["src/core/store/", "store"],
  ["src/core/index/", "index"],
  ["src/core/log/", "log"],
  ["src/core/search/", "search"],
  ["src/core/embed/", "embed"],
  ["src/core/import/", "import"],
  ["src/core/collection/", "collection"],
  ["src/core/database.ts", "database"],
  ["src/core/folder.ts", "database"],
  ["src/core/lock.ts", "database"],
  ["src/core/saving.ts", "database"],
  ["src/core/salvage/", "database"],
  ["src/core/checkpoint/", "database"],
  ...MEMORIES.map((name) => [`src/core/${name}/`, name] as const),
  ["src/core/", "core"],
  ["src/workers/", "workers"],
  ["src/servers/", "servers"],
  ["src/cli/", "cli"],
  ["src/adapters/", "adapters"],
  ["src/", "doors"]
]

const layerOf = (path: string): string => LAYERS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? "outside"

const ENGINE = ["kernels", "layout", "core", "store", "log", "index", "search", "embed"]

/** Layers that each layer may import from, itself included. A store holds what indexes made; no index knows of stores. */
const MAY_IMPORT: Readonly<Record<string, ReadonlyArray<string>>> = {
  kernels: ["kernels"],
  layout: ["kernels"],
  core: ["core", "kernels", "layout"],
  store: ["store", "layout", "kernels", "core", "index"],
  log: ["log", "store", "layout", "kernels", "core"],
  index: ["index", "layout", "kernels", "core"],
  embed: ["embed", "layout", "kernels", "core"],
  import: ["import", "store", "core"],
  search: ["search", "index", "store", "layout", "kernels", "core", "embed"],
  collection: ["collection", ...ENGINE],
  database: ["database", "collection", ...ENGINE],
  ...Object.fromEntries(MEMORIES.map((name) => [name, [name, "collection", ...ENGINE]])),
  workers: ["workers", ...ENGINE],
  doors: ["doors", "database", "import", "collection", ...ENGINE, ...MEMORIES],
  servers: ["servers", "doors", "core"],
  cli: ["cli", "doors", "core"],
  adapters: ["adapters", "doors", "core"]
}

const sources = filesIn(["src"], [".ts"])
const graph = new Map(sources.map((path) => [path, importsOf(path)]))
const isOurs = ({ specifier }: Import): boolean => specifier.startsWith(".")

/**
 * Types of tasks and of worker interfaces reach those who call the workers, because they are erased;
 * a memory is reached through its service file alone.
 */
const isException = (path: string, { target, typeOnly }: Import): boolean => {
  const [from, to] = [layerOf(path), layerOf(target)]
  if (MEMORIES.includes(from) && MEMORIES.includes(to)) return target === `src/core/${to}/${to}.ts`
  if (typeOnly && from === "log" && to === "workers") return true
  return typeOnly && from === "core" && [...ENGINE, "workers"].includes(to)
}

test("every module imports only its own layer and those below", () => {
  const wrong = [...graph].flatMap(([path, imports]) =>
    imports
      .filter(isOurs)
      .filter((edge) => !MAY_IMPORT[layerOf(path)]?.includes(layerOf(edge.target)) && !isException(path, edge))
      .map((edge) => `${path} (${layerOf(path)}) imports ${edge.target} (${layerOf(edge.target)})`)
  )
  assertNone(wrong)
})

test("kernels import no package", () => {
  const wrong = [...graph].flatMap(([path, imports]) =>
    layerOf(path) === "kernels"
      ? imports.filter((edge) => !isOurs(edge)).map((edge) => `${path}: ${edge.specifier}`)
      : []
  )
  assertNone(wrong)
})

test("a worker never loads effect, directly or through another module", () => {
  const findEffect = (path: string, trail: ReadonlyArray<string>): ReadonlyArray<string> =>
    (graph.get(path) ?? [])
      .filter(({ typeOnly }) => !typeOnly)
      .flatMap(({ target }) => {
        if (/^(effect|@effect)(\/|$)/.test(target)) return [[...trail, target].join(" > ")]
        return trail.includes(target) ? [] : findEffect(target, [...trail, target])
      })
  const workers = sources.filter((path) => layerOf(path) === "workers")
  assertNone(workers.flatMap((path) => findEffect(path, [path])))
})

test("no module imports itself through others", () => {
  const onTrail: Array<string> = []
  const done = new Set<string>()
  const cycles: Array<string> = []
  const visit = (path: string): void => {
    if (onTrail.includes(path)) cycles.push([...onTrail.slice(onTrail.indexOf(path)), path].join(" > "))
    if (done.has(path)) return
    done.add(path)
    onTrail.push(path)
    for (const { target, typeOnly } of graph.get(path) ?? []) if (!typeOnly) visit(target)
    onTrail.pop()
  }
  for (const path of sources) visit(path)
  assertNone(cycles)
})

test("examples use the doors and nothing behind them", () => {
  const inside = filesIn(["examples"], [".ts", ".mjs"]).flatMap((path) =>
    importsOf(path)
      .filter(({ target }) => target.startsWith("src/") && layerOf(target) !== "doors")
      .map(({ target }) => `${path}: ${target}`)
  )
  assertNone(inside)
})

test("effect is imported by module, never as the barrel", () => {
  const wrong = filesIn(SOURCE_FOLDERS, [".ts", ".mjs"]).filter((path) =>
    importsOf(path).some(({ specifier }) => specifier === "effect")
  )
  assertNone(wrong)
})
