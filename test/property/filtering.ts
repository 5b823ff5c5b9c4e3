/** Random entries with fields, random filters, and what a filter means, looked at one entry at a time. */
import fc from "fast-check"
import type { Condition, FieldTypes, FieldValues, Filter, FilterValue } from "../../src/index.ts"

export const FIELDS = { lang: "tag", year: "number", draft: "boolean", at: "timestamp" } as const satisfies FieldTypes
type Name = keyof typeof FIELDS

/** Few values, so that filters meet them; all in the form that entries come back in. */
const VALUES: Readonly<Record<Name, ReadonlyArray<string | number | boolean>>> = {
  lang: ["en", "de", "", "日本語"],
  year: [-1.5, 0, 1, 2, 2.0000000000000004, 1e300],
  draft: [true, false],
  at: [0, 1_700_000_000_000, 1_700_000_000_001]
}
const NAMES = Object.keys(FIELDS) as ReadonlyArray<Name>

/** Fields of an entry, some missing. */
export const fieldValues = fc.record(
  Object.fromEntries(NAMES.map((name) => [name, fc.constantFrom(...VALUES[name])])),
  { requiredKeys: [] }
) as fc.Arbitrary<FieldValues>

const condition = (name: Name): fc.Arbitrary<Condition | FilterValue> => {
  const value = fc.constantFrom(...VALUES[name], ...(name === "lang" ? ["never met"] : []))
  const ordered = name === "year" || name === "at"
  const dated = name === "at" ? value.map((ms) => new Date(ms as number)) : value
  return fc.oneof(
    value,
    fc.record(
      {
        eq: dated,
        ne: value,
        in: fc.array(value, { maxLength: 3 }),
        exists: fc.boolean(),
        ...(ordered && { gt: value, gte: dated, lt: value, lte: value })
      },
      { requiredKeys: [] }
    )
  )
}

const fieldFilter: fc.Arbitrary<Filter> = fc
  .uniqueArray(fc.constantFrom(...NAMES), { maxLength: 2 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, condition(name)]))))

export const { filter }: { filter: fc.Arbitrary<Filter> } = fc.letrec((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fieldFilter,
    fc.record(
      {
        and: fc.array(tie("filter") as fc.Arbitrary<Filter>, { maxLength: 3 }),
        or: fc.array(tie("filter") as fc.Arbitrary<Filter>, { maxLength: 3 }),
        not: tie("filter") as fc.Arbitrary<Filter>
      },
      { requiredKeys: [] }
    )
  )
}))

const number = (value: FilterValue): string | number | boolean => (value instanceof Date ? value.getTime() : value)

const holds = (test: string, wanted: unknown, value: string | number | boolean | undefined): boolean => {
  const has = value !== undefined
  switch (test) {
    case "eq":
      return has && value === number(wanted as FilterValue)
    case "ne":
      return !has || value !== number(wanted as FilterValue)
    case "in":
      return has && (wanted as ReadonlyArray<FilterValue>).map(number).includes(value)
    case "gt":
      return has && value > number(wanted as FilterValue)
    case "gte":
      return has && value >= number(wanted as FilterValue)
    case "lt":
      return has && value < number(wanted as FilterValue)
    case "lte":
      return has && value <= number(wanted as FilterValue)
    default:
      return has === wanted
  }
}

/** Whether an entry passes. */
export const matches = (filter: Filter, fields: FieldValues): boolean =>
  Object.entries(filter).every(([name, part]) => {
    if (name === "and") return (part as ReadonlyArray<Filter>).every((each) => matches(each, fields))
    if (name === "or") return (part as ReadonlyArray<Filter>).some((each) => matches(each, fields))
    if (name === "not") return !matches(part as Filter, fields)
    const isCondition = typeof part === "object" && !(part instanceof Date)
    const tests = isCondition ? Object.entries(part) : [["eq", part] as const]
    return tests.every(([test, wanted]) => holds(test, wanted, fields[name]))
  })
