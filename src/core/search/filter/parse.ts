/** Filters checked against the fields of a collection, once a search. */
import { object, shown } from "../../checked.ts"
import { InvalidParameter } from "../../errors.ts"
import type { FieldType, FieldTypes } from "../../store/layout.ts"
import type { Filter } from "./filter.ts"

/** A checked filter. What has no value fails every `range` and `among`. */
export type Term =
  | { readonly kind: "range"; readonly field: string; readonly low: number; readonly high: number }
  /** Numbers, 0 and 1 for booleans, or texts of tags. */
  | { readonly kind: "among"; readonly field: string; readonly values: ReadonlyArray<number | string> }
  | { readonly kind: "exists"; readonly field: string }
  | { readonly kind: "not"; readonly term: Term }
  | { readonly kind: "and" | "or"; readonly terms: ReadonlyArray<Term> }

/** Operations of the program of a term, about. */
export const operationsOf = (term: Term): number => {
  if (term.kind === "not") return operationsOf(term.term)
  if (term.kind === "and" || term.kind === "or") return term.terms.reduce((sum, one) => sum + operationsOf(one), 1)
  return term.kind === "among" ? Math.max(1, term.values.length) : 1
}

/** Whether a term tells rows apart by a field. */
export const readsField = (term: Term, field: string): boolean => {
  if (term.kind === "not") return readsField(term.term, field)
  return "terms" in term ? term.terms.some((one) => readsField(one, field)) : term.field === field
}

const MAX_TERMS = 256
/** Filters in filters: each is an operation on every row, though it may have no test of its own. */
const MAX_FILTERS = 512
const MAX_DEPTH = 16
const MAX_VALUES = 1024
/** Values of all `in` together: they are looked through for each search, on the thread that asks. */
const MAX_ALL_VALUES = 4096

/** Checks a filter; throws `InvalidParameter` with the path of what is wrong. */
export const parseFilter = (filter: Filter, fields: FieldTypes): Term => new Parser(fields).all(filter, "filter", 1)

const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })

const and = (terms: ReadonlyArray<Term>): Term => ({ kind: "and", terms })
const not = (term: Term): Term => ({ kind: "not", term })

class Parser {
  readonly #types: ReadonlyMap<string, FieldType>
  #terms = 0
  #filters = 0
  #count = 0

  constructor(fields: FieldTypes) {
    this.#types = new Map(Object.entries(fields))
  }

  /** Every part of a filter. */
  all(filter: unknown, path: string, depth: number): Term {
    if (depth > MAX_DEPTH) throw wrong(path, `nested more than ${MAX_DEPTH} deep`)
    if (++this.#filters > MAX_FILTERS) throw wrong(path, `more than ${MAX_FILTERS} filters`)
    const parts = Object.entries(plainObject(path, filter)).filter(([, part]) => part !== undefined)
    return and(parts.map(([name, part]) => this.#part(name, part, `${path}.${name}`, depth)))
  }

  #part(name: string, part: unknown, path: string, depth: number): Term {
    if (name === "not") return not(this.all(part, path, depth + 1))
    if (name === "and" || name === "or") {
      if (!Array.isArray(part)) throw wrong(path, `wanted an array of filters, got ${shown(part)}`)
      return { kind: name, terms: part.map((filter, i) => this.all(filter, `${path}[${i}]`, depth + 1)) }
    }
    const type = this.#types.get(name)
    if (type === undefined) throw wrong(path, `the collection has ${fieldNames([...this.#types.keys()])}`)
    if (!isCondition(part)) return this.#test(name, type, "eq", part, path)
    const tests = Object.entries(part).filter(([, value]) => value !== undefined)
    return and(tests.map(([test, value]) => this.#test(name, type, test, value, `${path}.${test}`)))
  }

  #test(field: string, type: FieldType, test: string, value: unknown, path: string): Term {
    if (++this.#terms > MAX_TERMS) throw wrong(path, `more than ${MAX_TERMS} parts`)
    const equals = () => among(field, [comparable(type, value, path)])
    const bound = () => {
      if (type === "tag" || type === "boolean") throw wrong(path, `a ${type} has no order`)
      return comparable(type, value, path) as number
    }
    const range = (low: number, high: number): Term => ({ kind: "range", field, low, high })
    switch (test) {
      case "eq":
        return equals()
      case "ne":
        return not(equals())
      case "in":
        return among(field, this.#values(type, value, path))
      case "gt":
        return range(nextAbove(bound()), Number.POSITIVE_INFINITY)
      case "gte":
        return range(bound(), Number.POSITIVE_INFINITY)
      case "lt":
        return range(Number.NEGATIVE_INFINITY, -nextAbove(-bound()))
      case "lte":
        return range(Number.NEGATIVE_INFINITY, bound())
      case "exists": {
        if (typeof value !== "boolean") throw wrong(path, `wanted true or false, got ${shown(value)}`)
        const exists: Term = { kind: "exists", field }
        return value ? exists : not(exists)
      }
      default:
        throw wrong(path, "there are eq, ne, in, gt, gte, lt, lte and exists")
    }
  }

  #values(type: FieldType, list: unknown, path: string): ReadonlyArray<number | string> {
    if (!Array.isArray(list) || list.length > MAX_VALUES) throw wrong(path, `wanted an array of at most ${MAX_VALUES}`)
    this.#count += list.length
    if (this.#count > MAX_ALL_VALUES) throw wrong(path, `more than ${MAX_ALL_VALUES} values in all`)
    return list.map((value, i) => comparable(type, value, `${path}[${i}]`))
  }
}

/** The same text for the same conditions, and no other: bounds may be infinite, which JSON does not tell from none. */
export const textOf = (term: Term): string => {
  switch (term.kind) {
    case "range":
      return `${term.field} ${term.low} ${term.high}`
    case "among":
      return `${term.field} ${JSON.stringify(term.values)}`
    case "exists":
      return `${term.field} *`
    case "not":
      return `not(${textOf(term.term)})`
    default:
      return `${term.kind}(${term.terms.map(textOf).join()})`
  }
}

const among = (field: string, values: ReadonlyArray<number | string>): Term => ({ kind: "among", field, values })

/** A value in the form it is compared in. */
const comparable = (type: FieldType, value: unknown, path: string): number | string => {
  if (type === "tag" && typeof value === "string") return value
  if (type === "boolean" && typeof value === "boolean") return value ? 1 : 0
  const number = type === "timestamp" && value instanceof Date ? value.getTime() : value
  if (type !== "tag" && type !== "boolean" && typeof number === "number" && Number.isFinite(number)) return number
  throw wrong(path, `wanted ${WANTED[type]}, got ${shown(value)}`)
}

const WANTED: Readonly<Record<FieldType, string>> = {
  tag: "a text",
  number: "a finite number",
  boolean: "true or false",
  timestamp: "a date or milliseconds"
}

const isCondition = (part: unknown): part is Record<string, unknown> =>
  typeof part === "object" && part !== null && !(part instanceof Date) && !Array.isArray(part)

const plainObject = (path: string, value: unknown): object => {
  if (Array.isArray(value)) throw wrong(path, "wanted an object, got an array")
  return object(path, value as object)
}

/** The fields there are, in a message. */
export const fieldNames = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "no fields" : `the fields ${names.join(", ")}`

const double = new Float64Array(1)
const bits = new BigInt64Array(double.buffer)

/** The next double above a finite one: what is greater than `x` is at least this. */
const nextAbove = (x: number): number => {
  if (x === 0) return Number.MIN_VALUE
  double[0] = x
  bits[0] = bits[0]! + (x > 0 ? 1n : -1n)
  return double[0]
}
