/** Filters as callers write them. */

/** What a field is compared with: a text for a tag; a `Date` or milliseconds for a timestamp. */
export type FilterValue = string | number | boolean | Date

/**
 * What one field must be; every part must hold. An entry without the field passes `ne` and `exists: false` and no
 * other part. Tags and booleans have no order: `gt`, `gte`, `lt` and `lte` are for numbers and timestamps.
 */
export interface Condition {
  readonly eq?: FilterValue | undefined
  readonly ne?: FilterValue | undefined
  /** Any of these: at most 1,024, and at most 4,096 in all parts of a filter. */
  readonly in?: ReadonlyArray<FilterValue> | undefined
  readonly gt?: FilterValue | undefined
  readonly gte?: FilterValue | undefined
  readonly lt?: FilterValue | undefined
  readonly lte?: FilterValue | undefined
  /** Whether the entry has the field. */
  readonly exists?: boolean | undefined
}

/**
 * Which entries a search may find: every part must hold. A value stands for `{ eq: value }`. At most 256 parts in
 * all, nested at most 16 deep.
 */
export interface Filter {
  readonly and?: ReadonlyArray<Filter> | undefined
  readonly or?: ReadonlyArray<Filter> | undefined
  readonly not?: Filter | undefined
  readonly [field: string]: FilterValue | Condition | Filter | ReadonlyArray<Filter> | undefined
}

/** Names that a field cannot have. */
export const CONNECTIVES: ReadonlyArray<string> = ["and", "or", "not"]
