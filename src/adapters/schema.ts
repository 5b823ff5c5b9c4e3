/**
 * Whether a JSON value is what a JSON Schema asks for, as far as that can be told here: a schema with anything in it that is
 * not known validates nothing, because an answer that nobody can vouch for is not kept. A large value is
 * looked at in turns of the event loop.
 */
import { roomInTurn } from "../core/turn.ts"

/** Outcome of a schema that this knows no way to check. */
class Unknown extends Error {}

type Schema = boolean | Readonly<Record<string, unknown>>
/** What is found out in steps of some tenths of a millisecond. */
type Steps = Generator<void, boolean>
type Check = (
  value: unknown,
  argument: never,
  schema: Readonly<Record<string, unknown>>,
  context: Context
) => boolean | Steps

/** Where references lead, how deep they have led, how many schemas were looked at, and how many references followed. */
interface Context {
  readonly root: Schema
  readonly depth: number
  readonly looked: { count: number; references: number }
}

/** Deepest nesting that is followed, and most references: they may go round. Without them every schema has an end. */
const MAX_DEPTH = 64
const MOST_REFERENCES = 1_000_000
/** Schemas or items that are looked at in a step. */
const A_STEP = 64

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const TYPES = new Map<string, (value: unknown) => boolean>([
  ["string", (value) => typeof value === "string"],
  ["number", (value) => typeof value === "number"],
  ["integer", Number.isInteger],
  ["boolean", (value) => typeof value === "boolean"],
  ["null", (value) => value === null],
  ["array", Array.isArray],
  ["object", isObject]
])

/** One text for values that are equal as JSON, whatever the order of properties: many are told apart in one pass. */
const textOf = (value: unknown, depth = 0): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (depth === MAX_DEPTH) throw new Unknown()
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, depth + 1)).join(",")}]`
  const parts = Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}:${textOf(part, depth + 1)}`)
  return `{${parts.sort().join(",")}}`
}
const isSame = (a: unknown, b: unknown): boolean => textOf(a) === textOf(b)

const patternOf = (pattern: unknown): RegExp => {
  try {
    return new RegExp(String(pattern), "u")
  } catch {
    throw new Unknown()
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number"
const isString = (value: unknown): value is string => typeof value === "string"
const lengthOf = (text: string): number => Array.from(text).length

/** A check of a keyword whose argument must be a number: older drafts have others under the same name. */
const counted =
  (check: (value: unknown, argument: number) => boolean) =>
  (value: unknown, argument: number): boolean => {
    if (typeof argument !== "number") throw new Unknown()
    return check(value, argument)
  }

/** The part of a schema that `#/…` names. */
const referred = (root: Schema, reference: string): Schema => {
  if (!/^#(\/|$)/.test(reference)) throw new Unknown()
  let at: unknown = root
  for (const step of reference.split("/").slice(1)) {
    const name = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~")
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) throw new Unknown()
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at as Schema
}

/** Tells properties that no `properties` and no `patternProperties` speak of. */
const othersOf = (schema: Readonly<Record<string, unknown>>): ((name: string) => boolean) => {
  const known = new Set(Object.keys((schema["properties"] ?? {}) as object))
  const patterns = Object.keys((schema["patternProperties"] ?? {}) as object).map(patternOf)
  return (name) => !known.has(name) && !patterns.some((pattern) => pattern.test(name))
}

/** Whether those properties fit that are chosen by their names: the others are gone over in turns as well. */
const fitsWhere = (
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
  isChosen: (name: string) => boolean,
  context: Context
): Steps => all(Object.keys(value), (name) => isValid(value[name], isChosen(name) ? schema : true, context))

/** Whether a check holds for all: the first that it does not hold for ends it. */
function* all<A>(values: Iterable<A>, check: (value: A) => Steps): Steps {
  for (const value of values) if (!(yield* check(value))) return false
  return true
}

/** How many of several schemas a value fits: all are looked at, for one may not be known. */
function* countOf(value: unknown, schemas: ReadonlyArray<Schema>, context: Context): Generator<void, number> {
  let count = 0
  for (const schema of schemas) if (yield* isValid(value, schema, context)) count++
  return count
}

function* areUnique(items: ReadonlyArray<unknown>): Steps {
  const texts = new Set<string>()
  for (const [i, item] of items.entries()) {
    texts.add(textOf(item))
    if (i % A_STEP === A_STEP - 1) yield
  }
  return texts.size === items.length
}

/** What each keyword asks; where a value is of another type than the keyword is about, nothing. */
const CHECKS = new Map<string, Check>(
  Object.entries({
    type: (value: unknown, types: string | ReadonlyArray<string>) =>
      [types].flat().some((type) => {
        const is = TYPES.get(type)
        if (is === undefined) throw new Unknown()
        return is(value)
      }),
    enum: (value: unknown, values: ReadonlyArray<unknown>) => values.some((one) => isSame(value, one)),
    const: (value: unknown, wanted: unknown) => isSame(value, wanted),
    minimum: counted((value, least) => !isNumber(value) || value >= least),
    maximum: counted((value, most) => !isNumber(value) || value <= most),
    exclusiveMinimum: counted((value, bound) => !isNumber(value) || value > bound),
    exclusiveMaximum: counted((value, bound) => !isNumber(value) || value < bound),
    multipleOf: counted((value, step) => !isNumber(value) || Number.isInteger(value / step)),
    minLength: counted((value, least) => !isString(value) || lengthOf(value) >= least),
    maxLength: counted((value, most) => !isString(value) || lengthOf(value) <= most),
    pattern: (value: unknown, pattern: string) => !isString(value) || patternOf(pattern).test(value),
    minItems: counted((value, least) => !Array.isArray(value) || value.length >= least),
    maxItems: counted((value, most) => !Array.isArray(value) || value.length <= most),
    uniqueItems: (value: unknown, isAsked: boolean) => !isAsked || !Array.isArray(value) || areUnique(value),
    prefixItems: (value: unknown, schemas: ReadonlyArray<Schema>, _: object, context: Context) =>
      !Array.isArray(value) ||
      all(value.slice(0, schemas.length).entries(), ([i, item]) => isValid(item, schemas[i]!, context)),
    items: (value: unknown, schema: Schema, { prefixItems = [] }: { prefixItems?: unknown }, context: Context) =>
      !Array.isArray(value) ||
      all(value.slice((prefixItems as ReadonlyArray<unknown>).length), (item) => isValid(item, schema, context)),
    required: (value: unknown, names: ReadonlyArray<string>) =>
      !isObject(value) || names.every((name) => Object.hasOwn(value, name)),
    properties: (value: unknown, schemas: Readonly<Record<string, Schema>>, _: object, context: Context) =>
      !isObject(value) ||
      all(
        Object.entries(schemas).filter(([name]) => Object.hasOwn(value, name)),
        ([name, schema]) => isValid(value[name], schema, context)
      ),
    patternProperties: (value: unknown, schemas: Readonly<Record<string, Schema>>, _: object, context: Context) =>
      !isObject(value) ||
      all(Object.entries(schemas), ([pattern, schema]) => {
        const names = patternOf(pattern)
        return fitsWhere(value, schema, (name) => names.test(name), context)
      }),
    additionalProperties: (
      value: unknown,
      schema: Schema,
      whole: Readonly<Record<string, unknown>>,
      context: Context
    ) => !isObject(value) || fitsWhere(value, schema, othersOf(whole), context),
    propertyNames: (value: unknown, schema: Schema, _: object, context: Context) =>
      !isObject(value) || all(Object.keys(value), (name) => isValid(name, schema, context)),
    minProperties: counted((value, least) => !isObject(value) || Object.keys(value).length >= least),
    maxProperties: counted((value, most) => !isObject(value) || Object.keys(value).length <= most),
    allOf: (value: unknown, schemas: ReadonlyArray<Schema>, _: object, context: Context) =>
      all(schemas, (schema) => isValid(value, schema, context)),
    *anyOf(value: unknown, schemas: ReadonlyArray<Schema>, _: object, context: Context) {
      return (yield* countOf(value, schemas, context)) > 0
    },
    *oneOf(value: unknown, schemas: ReadonlyArray<Schema>, _: object, context: Context) {
      return (yield* countOf(value, schemas, context)) === 1
    },
    *not(value: unknown, schema: Schema, _: object, context: Context) {
      return !(yield* isValid(value, schema, context))
    },
    $ref: (value: unknown, reference: string, _: object, context: Context) => {
      if (++context.looked.references > MOST_REFERENCES) throw new Unknown()
      return isValid(value, referred(context.root, reference), context)
    }
  })
)

/** What says nothing of a value. */
const REMARKS = new Set([
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly"
])

function* isValid(value: unknown, schema: Schema, { root, depth, looked }: Context): Steps {
  if (++looked.count % A_STEP === 0) yield
  if (typeof schema === "boolean") return schema
  if (!isObject(schema) || depth > MAX_DEPTH) throw new Unknown()
  const context = { root, depth: depth + 1, looked }
  let fits = true
  for (const [keyword, argument] of Object.entries(schema)) {
    if (REMARKS.has(keyword) || argument === undefined) continue
    const check = CHECKS.get(keyword)
    if (check === undefined) throw new Unknown()
    const found = check(value, argument as never, schema, context)
    // Also where it does not fit already: a keyword to come may be one that is not known.
    if (!(typeof found === "boolean" ? found : yield* found)) fits = false
  }
  return fits
}

/** Whether `value` is known to be what `schema` asks for; false also where the schema asks for what is not known here. */
export const fitsSchema = async (value: unknown, schema: unknown): Promise<boolean> => {
  try {
    const steps = isValid(value, schema as Schema, {
      root: schema as Schema,
      depth: 0,
      looked: { count: 0, references: 0 }
    })
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
      const room = roomInTurn()
      if (room !== undefined) await room
    }
  } catch (error) {
    // A schema that is none, such as a number where a list belongs, fails like one that is not known.
    if (error instanceof Unknown || error instanceof TypeError || error instanceof URIError) return false
    throw error
  }
}
