/** Checked filters as the programs that kernels run. */
import type { Filter } from "../../kernels/contract.ts"
import { FILTER_OP } from "../../kernels/shape.ts"
import { NO_BOOLEAN, NO_TAG } from "../../store/fields.ts"
import { type FieldType, fieldColumn } from "../../store/layout.ts"
import { columnsOf, type StoreShape } from "../../store/memory.ts"
import type { Rows } from "../../store/rows.ts"
import { UNKNOWN } from "../../store/tags.ts"
import type { Term } from "./parse.ts"

/** What a program needs to know of a store. */
type Fielded = Pick<Rows, "shape" | "tags">

/**
 * The program of the rows that pass `term` and lie in one of the namespaces with these codes; undefined where any
 * namespace, or any row, will do.
 */
export const compileFilter = (
  rows: Fielded,
  scopes: ReadonlyArray<number> | undefined,
  term: Term | undefined
): Filter => {
  const compiler = new Compiler(rows)
  if (scopes === undefined && term === undefined) compiler.everything()
  if (scopes !== undefined) compiler.scopes(scopes)
  if (term !== undefined) compiler.term(term)
  if (scopes !== undefined && term !== undefined) compiler.join("and")
  return compiler.program()
}

const OP_OF_TYPE = {
  tag: FILTER_OP.in32,
  boolean: FILTER_OP.in8,
  number: FILTER_OP.in64,
  timestamp: FILTER_OP.in64
} as const satisfies Record<FieldType, number>

const known = new WeakMap<StoreShape, ReadonlyMap<string, number>>()

/** Where the columns of a store are, by name: every search with a filter asks. */
const offsetsOf = (shape: StoreShape): ReadonlyMap<string, number> => {
  const before = known.get(shape)
  if (before !== undefined) return before
  const offsets = new Map(columnsOf(shape).map(({ name, offset }) => [name, offset]))
  known.set(shape, offsets)
  return offsets
}

class Compiler {
  readonly #tags: Fielded["tags"]
  readonly #types: ReadonlyMap<string, FieldType>
  readonly #offsets: ReadonlyMap<string, number>
  readonly #ops: Array<number> = []
  readonly #constants: Array<number> = []

  constructor({ shape, tags }: Fielded) {
    this.#tags = tags
    this.#types = new Map(Object.entries(shape.fields ?? {}))
    this.#offsets = offsetsOf(shape)
  }

  program(): Filter {
    return { ops: Uint32Array.from(this.#ops), constants: Float64Array.from(this.#constants) }
  }

  everything(): void {
    this.#push(FILTER_OP.nothing)
    this.#push(FILTER_OP.not)
  }

  /** Rows of these namespaces. */
  scopes(codes: ReadonlyArray<number>): void {
    this.#push(FILTER_OP.in32, "scope", codes)
  }

  join(how: "and" | "or"): void {
    this.#push(FILTER_OP[how])
  }

  term(term: Term): void {
    switch (term.kind) {
      case "and":
      case "or":
        this.#joined(term.kind, term.terms)
        break
      case "not":
        this.term(term.term)
        this.#push(FILTER_OP.not)
        break
      case "range":
        this.#push(FILTER_OP.between, fieldColumn(term.field), [term.low, term.high])
        break
      case "among":
        this.#among(
          term.field,
          term.values.map((value) => this.#stored(value))
        )
        break
      case "exists":
        this.#exists(term.field)
    }
  }

  #joined(how: "and" | "or", terms: ReadonlyArray<Term>): void {
    // An empty `and` is everything, an empty `or` nothing.
    if (terms.length === 0) {
      if (how === "and") this.everything()
      else this.#push(FILTER_OP.nothing)
    }
    for (const [i, term] of terms.entries()) {
      this.term(term)
      if (i > 0) this.join(how)
    }
  }

  /** Texts that no row has stand for codes that no row has. */
  #stored(value: number | string): number {
    return typeof value === "number" ? value : this.#tags.code(value)
  }

  #among(field: string, stored: ReadonlyArray<number>): void {
    const type = this.#types.get(field)!
    const values = type === "tag" ? stored.filter((code) => code !== UNKNOWN) : stored
    this.#push(OP_OF_TYPE[type], fieldColumn(field), values)
  }

  #exists(field: string): void {
    const type = this.#types.get(field)!
    if (type === "number" || type === "timestamp") {
      this.#push(FILTER_OP.between, fieldColumn(field), [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
    } else {
      this.#push(OP_OF_TYPE[type], fieldColumn(field), [type === "tag" ? NO_TAG : NO_BOOLEAN])
      this.#push(FILTER_OP.not)
    }
  }

  #push(op: number, column?: string, constants: ReadonlyArray<number> = []): void {
    const offset = column === undefined ? 0 : this.#offsets.get(column)!
    this.#ops.push(op, offset, this.#constants.length, constants.length)
    this.#constants.push(...constants)
  }
}
