/**
 * The native addon, loaded once a thread, or the scalar kernels and the reason why.
 *
 * Workers import this file, so it imports nothing of effect. `SIMD_NAPI_PATH` names another
 * addon; `SABINE_ISA` an instruction set, or `scalar-ts` for the kernels in TypeScript.
 */
import { createRequire } from "node:module"
import type { Kernels, SearchColumns } from "./kernels/contract.ts"
import { packedPlan } from "./kernels/packed-plan.ts"
import { scalar } from "./kernels/scalar.ts"

const FORCE_SCALAR = "scalar-ts"

/** Whether C programs of this system run on musl: Node names the version of glibc otherwise. */
const isMusl = (): boolean => {
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined
}

/** The platform as addons are named by it. */
const triple = (): string => {
  switch (process.platform) {
    case "linux":
      return `linux-${process.arch}-${isMusl() ? "musl" : "gnu"}`
    case "win32":
      return `win32-${process.arch}-msvc`
    default:
      return `${process.platform}-${process.arch}`
  }
}

interface Loaded {
  readonly kernels: Kernels
  /** Why the scalar kernels are in use, in one line. */
  readonly fallback: string | undefined
}

const load = (): Loaded => {
  if (process.env["SABINE_ISA"] === FORCE_SCALAR) return { kernels: scalar, fallback: `SABINE_ISA is ${FORCE_SCALAR}` }
  const platform = triple()
  const explicit = process.env["SIMD_NAPI_PATH"]
  // src/core and dist/core both lie two below the package root.
  const places = [`../../native/simd-napi.${platform}.node`, `@sabine/simd-napi-${platform}`]
  const require = createRequire(import.meta.url)
  const failures: Array<string> = []
  for (const place of explicit ? [explicit, ...places] : places) {
    try {
      return { kernels: complete(require(place)), fallback: undefined }
    } catch (error) {
      failures.push(`${place}: ${firstLine(error)}`)
    }
  }
  return { kernels: scalar, fallback: `no native addon: ${failures.join("; ")}` }
}

/** Where the addon has found the arrays of columns. */
type Located = { readonly located: unique symbol }

/** The addon takes plans packed, and columns that it has read before: they have more arrays than a search has work. */
type Addon = Omit<Kernels, "search"> & {
  readonly locateColumns: (columns: SearchColumns) => Located
  readonly searchPacked: (
    plan: Float64Array,
    columns: Located,
    ...others: DropTwo<Parameters<Kernels["search"]>>
  ) => number
}
type DropTwo<T> = T extends [unknown, unknown, ...infer Rest] ? Rest : never

/** An addon of another version may lack a function: better the scalar kernels than half of each. */
const complete = (addon: Addon): Kernels => {
  const { searchPacked, locateColumns, ...others } = addon
  const names = Object.keys(scalar).filter((name) => name !== "search")
  const missing = names.filter((name) => typeof others[name as keyof typeof others] !== "function")
  if (typeof searchPacked !== "function") missing.push("searchPacked")
  if (typeof locateColumns !== "function") missing.push("locateColumns")
  if (missing.length > 0) throw new Error(`lacks ${missing.join(", ")}`)
  // Columns are not changed once they are made, and no array of theirs is transferred: what is known of them holds.
  const known = new WeakMap<SearchColumns, Located>()
  const located = (columns: SearchColumns): Located => {
    const before = known.get(columns)
    if (before !== undefined) return before
    const now = locateColumns(columns)
    known.set(columns, now)
    return now
  }
  return { ...others, search: (plan, columns, ...rest) => searchPacked(packedPlan(plan), located(columns), ...rest) }
}

const firstLine = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? ""

export const { kernels, fallback } = load()

/** What `SABINE_ISA` asked for in vain. Opening a database fails with it: `IsaUnavailable`. */
interface UnavailableIsa {
  readonly wanted: string
  readonly available: ReadonlyArray<string>
}

const applyIsa = (): UnavailableIsa | undefined => {
  const wanted = process.env["SABINE_ISA"]
  if (wanted === undefined || wanted === "" || wanted === FORCE_SCALAR) return undefined
  const available = kernels.isas()
  if (!available.includes(wanted)) return { wanted, available: [...available, FORCE_SCALAR] }
  kernels.useIsa(wanted)
  return undefined
}

export const unavailableIsa = applyIsa()
