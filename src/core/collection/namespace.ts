/**
 * The namespace that a view of a collection is bound to: part of every key and every search of the view, and nothing
 * a caller passes with a call.
 */
import { InvalidParameter } from "../errors.ts"
import type { Filter } from "../kernels/contract.ts"
import { Masks } from "../search/filter/masks.ts"
import { operationsOf, readsField, type Term, textOf } from "../search/filter/parse.ts"
import type { Passing } from "../search/filter/passing.ts"
import { compileFilter } from "../search/filter/program.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import type { Searchable } from "../store/searchable.ts"
import { MAX_TAG_BYTES, UNKNOWN } from "../store/tags.ts"

/** The name of a namespace, or `undefined`: the entries that were written without one. */
export type Namespace = string | undefined

/** A namespace by its name; throws `InvalidParameter`. */
export const checkedNamespace = (name: unknown): string => {
  const bytes = typeof name === "string" && name.isWellFormed() ? Buffer.byteLength(name) : 0
  if (bytes >= 1 && bytes <= MAX_TAG_BYTES) return name as string
  throw new InvalidParameter({ parameter: "namespace", reason: `wanted a text of 1 to ${MAX_TAG_BYTES} bytes` })
}

/** The code of a namespace; undefined when nothing was written in it yet. */
export const scopeOfNamespace = ({ tags }: Pick<Searchable, "tags">, namespace: Namespace): number | undefined => {
  if (namespace === undefined) return NO_NAMESPACE
  const code = tags.code(namespace)
  return code === UNKNOWN ? undefined : code
}

/** What a search of a namespace may find at this moment; undefined when that is every row. */
export const filterOfNamespace = (
  memory: Searchable,
  namespace: Namespace,
  term: Term | undefined
): Filter | undefined => {
  const isAlone = isEverything(memory, namespace)
  if (isAlone && term === undefined) return undefined
  const scope = scopeOfNamespace(memory, namespace)
  return compileFilter(memory, isAlone ? undefined : scope === undefined ? [] : [scope], term)
}

/** Whether every row is of the namespace, as none was written in any. */
const isEverything = ({ directory }: Searchable, namespace: Namespace): boolean =>
  namespace === undefined && !directory.isNamespaced

/** What searches of a namespace may find, by filters or without one. */
export const passingNamespace = (memory: Searchable, namespace: Namespace) => {
  const masks = new Masks()
  const fields = Object.keys(memory.shape.fields ?? {})
  /** Whether the rows that pass stay the same as long as nothing is counted as a change. */
  const isLasting = (term: Term | undefined): boolean => {
    const inPlace = fields[memory.directory.inPlace]
    return term === undefined || inPlace === undefined || !readsField(term, inPlace)
  }
  const passing = (term: Term | undefined): Passing => {
    const operations = term === undefined ? 0 : operationsOf(term)
    return {
      id: idOf(namespace, term),
      operations: () => operations + (isEverything(memory, namespace) ? 0 : 1),
      filter: () => filterOfNamespace(memory, namespace, term),
      lend: (filter, changes, blocks) => (isLasting(term) ? masks.lend(filter, changes, blocks) : filter),
      filled: (filter) => masks.filled(filter)
    }
  }
  let known: Filter | undefined
  /** All of the namespace: the same program from when it has its code, which it keeps. */
  const all = (): Filter | undefined => {
    if (known !== undefined || isEverything(memory, namespace)) return known
    const scope = scopeOfNamespace(memory, namespace)
    if (scope === undefined) return compileFilter(memory, [], undefined)
    known = compileFilter(memory, [scope], undefined)
    return known
  }
  const unfiltered: Passing = { ...passing(undefined), filter: all }
  return (term: Term | undefined): Passing => (term === undefined ? unfiltered : passing(term))
}

const idOf = (namespace: Namespace, term: Term | undefined): string =>
  `${JSON.stringify(namespace)} ${term === undefined ? "" : textOf(term)}`
