/** What TypeScript and Rust both write down: plans, constants and codes are the same on both sides. */
import assert from "node:assert/strict"
import { test } from "node:test"
import ts from "typescript"
import { PLAN_FIELDS } from "../../src/core/kernels/packed-plan.ts"
import * as shape from "../../src/core/kernels/shape.ts"
import * as layout from "../../src/core/store/layout.ts"
import { nodesOf, parse, read } from "./repository.ts"

const CONTRACT = "src/core/kernels/contract.ts"
const PLAN = read("native/src/plan.rs")

const camelCase = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

/** Public fields of a struct of plan.rs, as JavaScript names them. */
const structFields = (name: string): ReadonlyArray<string> => {
  const body = new RegExp(`pub struct ${name} \\{(.*?)\\n\\}`, "s").exec(PLAN)?.[1] ?? ""
  return [...body.matchAll(/^\s*pub (\w+):/gm)].map(([, field]) => camelCase(field ?? ""))
}

/** Fields of an interface of the contract, those it extends first. */
const interfaceFields = (name: string): ReadonlyArray<string> => {
  const found = parse(CONTRACT).statements.find((node) => ts.isInterfaceDeclaration(node) && node.name.text === name)
  assert.ok(found !== undefined && ts.isInterfaceDeclaration(found), `${CONTRACT} has no interface ${name}`)
  const inherited = (found.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => type.getText()))
  return [...inherited.flatMap(interfaceFields), ...found.members.map((member) => member.name?.getText() ?? "")]
}

const structs = [...PLAN.matchAll(/pub struct (\w+)/g)].map(([, name]) => name ?? "")

test("plan.rs holds the records that the contract passes", () => {
  assert.ok(structs.includes("SegmentLayout") && structs.includes("SearchPlan"))
})

for (const name of structs) {
  test(`the fields of ${name} are the same in Rust and TypeScript`, () => {
    assert.deepEqual(structFields(name), interfaceFields(name))
  })
}

test("a packed plan has the fields in the order in which Rust reads them", () => {
  assert.deepEqual(PLAN_FIELDS, structFields("SearchPlan"))
  const reads = /Ok\(SearchPlan \{(.*?)\n {8}\}\)/s.exec(PLAN)?.[1] ?? ""
  assert.deepEqual(
    [...reads.matchAll(/^\s+(\w+):/gm)].map(([, field]) => camelCase(field ?? "")),
    PLAN_FIELDS
  )
})

/** Constants of plan.rs: literals, products, sums and quotients of literals and earlier constants. */
const constants = (): ReadonlyMap<string, number> => {
  const values = new Map<string, number>()
  const value = (term: string): number => values.get(term) ?? Number(term.replaceAll("_", ""))
  const product = (text: string): number =>
    text.split(/(?=[*/])/).reduce((total, part) => {
      const [operator, term] = /^[*/]/.test(part) ? [part[0], part.slice(1)] : ["*", part]
      return operator === "*" ? total * value(term.trim()) : total / value(term.trim())
    }, 1)
  for (const [, name, expression] of PLAN.matchAll(/^pub const (\w+): \w+ = ([^;]+);/gm)) {
    values.set(
      name ?? "",
      (expression ?? "").split("+").reduce((total, text) => total + product(text), 0)
    )
  }
  return values
}

/** What TypeScript knows under the names of Rust: numbers, and the members of each numbered choice. */
const known = (): Readonly<Record<string, unknown>> => {
  const choices = { ...shape.METRIC, ...shape.PRECISION, ...shape.MODE, ...shape.FILTER_OP }
  const upperCase = Object.entries(choices).map(([name, value]) => [name.toUpperCase(), value])
  return { ...layout, ...shape, ...Object.fromEntries(upperCase) }
}

test("the constants of plan.rs are those of TypeScript", () => {
  const ours = known()
  const theirs = constants()
  assert.ok(theirs.size > 0)
  for (const [name, value] of theirs) assert.equal(value, ours[name], name)
})

/** String literals of the type of the parameter `code`, in the one place where TypeScript refuses as Rust does. */
const refusalCodes = (): ReadonlyArray<string> =>
  [...nodesOf(parse("src/core/kernels/refusal.ts"))]
    .filter((node) => ts.isParameter(node))
    .filter(({ name }) => name.getText() === "code")
    .flatMap((parameter) => [...nodesOf(parameter)])
    .filter((node) => ts.isStringLiteral(node))
    .map(({ text }) => text)

test("the codes of native errors are those that the scalar kernels refuse with", () => {
  const arms = [...read("native/src/error.rs").matchAll(/NativeCode::\w+ => "(\w+)"/g)].map(([, code]) => code)
  assert.ok(arms.length > 0)
  assert.deepEqual(refusalCodes(), arms)
})
