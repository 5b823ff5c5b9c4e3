/**
 * The rows of a damaged image. What is written down twice is taken from where it holds: live bits follow from record
 * addresses, addresses from live bits and the order of records, tags and namespaces from keys.
 */
import { forEachSliced } from "../../slice.ts"
import { type FieldValue, NO_TAG } from "../fields.ts"
import { hashKey, tagOf } from "../keys.ts"
import { codeColumns, fieldColumn, SLOTS } from "../layout.ts"
import { isLive } from "../memory.ts"
import type { StoredPayload } from "../records.ts"
import { fieldsOf, NO_NAMESPACE, vectorOf } from "../rows.ts"
import type { Store } from "../store.ts"
import type { BadBlocks } from "./bad-blocks.ts"
import type { IntactRecords } from "./intact-records.ts"

/** A row of which not everything holds. */
export interface RowParts {
  /** Absent for entries without a namespace. */
  readonly namespace?: string | undefined
  readonly key: string
  /** Absent where it is damaged. */
  readonly payload?: { readonly value: StoredPayload }
  readonly fields?: Readonly<Record<string, FieldValue>>
  readonly vector?: Float32Array
}

interface Survivors {
  /** Rows that are not live, or not any more. */
  readonly free: Uint32Array
  /** Number of rows that are as they were, and stay live. */
  readonly live: number
  readonly parts: ReadonlyArray<RowParts>
  /** Whether a row is in a namespace. */
  readonly isNamespaced: boolean
}

interface DamagedImage {
  readonly store: Store
  readonly rows: number
  /** Rows that were live. */
  readonly live: number
  readonly bad: BadBlocks
  readonly records: IntactRecords
  readonly hasTags: boolean
  readonly hasEncoder: boolean
}

/** Steps between two looks at the clock: a step compares a few bits, or reads a vector. */
const STEPS_A_LOOK = 256

/** Takes the rows out of the store of which not everything holds, and puts the others into its key index. */
export const keepSurvivors = async (image: DamagedImage): Promise<Survivors> => {
  const { store, rows, bad, records, hasTags, hasEncoder } = image
  const { shape } = store
  const types = Object.entries(shape.fields ?? {})
  const codes = codeColumns(shape.metric, shape.pq).map(({ name }) => name)
  const vectorColumns = shape.precision === "int8" ? ["vectors", "scales"] : ["vectors"]
  const addresses = await addressesOf(image)
  const free: Array<number> = []
  const parts: Array<RowParts> = []
  let live = 0
  let isNamespaced = false

  const keep = (row: number): boolean => {
    const address = addresses[row]!
    const segmentNumber = Math.floor(row / SLOTS)
    const segment = store.segments[segmentNumber]!
    const slot = row % SLOTS
    const record = address < 0 ? undefined : records.at(address)
    // A key of no namespace that can be told may be anybody's.
    if (record === undefined || (record.scope !== NO_NAMESPACE && !hasTags)) return false
    const isWhole = (columns: ReadonlyArray<string>) => !columns.some((column) => bad.has(column, segmentNumber, slot))
    const hasFields =
      isWhole(types.map(([name]) => fieldColumn(name))) &&
      (hasTags || types.every(([, type], f) => type !== "tag" || segment.fields[f]!.values[slot] === NO_TAG))
    const hasVector = shape.precision === "none" ? hasEncoder && isWhole(codes) : isWhole(vectorColumns)
    const namespace = record.scope === NO_NAMESPACE ? undefined : store.tags.text(record.scope)
    isNamespaced ||= namespace !== undefined
    segment.records[slot] = address
    if (record.isWhole && hasFields && hasVector) {
      const hash = hashKey(record.keyBytes, record.keyBytes.length)
      segment.tag[slot] = tagOf(hash)
      segment.scope[slot] = record.scope
      segment.live[slot >>> 5]! |= 1 << (slot & 31)
      store.keys.insert(hash, row)
      return true
    }
    parts.push({
      namespace,
      key: record.key,
      ...(record.isWhole && { payload: { value: store.records.stored(address) } }),
      ...(hasFields && { fields: fieldsOf(store, row) ?? {} }),
      ...(hasVector && shape.precision !== "none" && { vector: vectorOf(store, row)! })
    })
    return false
  }

  await forEachSliced(
    rows,
    undefined,
    (row) => {
      const segment = store.segments[Math.floor(row / SLOTS)]!
      const slot = row % SLOTS
      if (addresses[row] !== DEAD && keep(row)) {
        live++
        return
      }
      segment.live[slot >>> 5]! &= ~(1 << (slot & 31))
      segment.records[slot] = 0
      free.push(row)
    },
    STEPS_A_LOOK
  )
  return { free: Uint32Array.from(free), live, parts, isNamespaced }
}

/** In place of an address: the row is not live, or it is and its record is not known. */
const DEAD = -1
const UNKNOWN = -2

/** The address of the record of every row. */
const addressesOf = async ({ store, rows, live, bad, records }: DamagedImage): Promise<Float64Array> => {
  const found = new Float64Array(rows)
  const at = (row: number) => ({ segment: Math.floor(row / SLOTS), slot: row % SLOTS })
  const walked = bad.hasAny("live") || !bad.hasAny("addresses") ? undefined : records.walk()
  const inOrder = walked?.length === live ? walked : undefined
  let next = 0
  await forEachSliced(
    rows,
    undefined,
    (row) => {
      const { segment, slot } = at(row)
      const address = store.segments[segment]!.records[slot]!
      const isKnown = !bad.has("addresses", segment, slot)
      if (bad.has("live", segment, slot)) found[row] = isKnown && address !== 0 ? address : DEAD
      else if (!isLive(store.segments[segment]!, slot)) found[row] = DEAD
      else if (inOrder !== undefined) found[row] = inOrder[next++]!
      else found[row] = isKnown ? address : UNKNOWN
    },
    STEPS_A_LOOK
  )
  const first = bad.hasAny("live") ? records.at(0) : undefined
  if (first === undefined) return found
  const tag = tagOf(hashKey(first.keyBytes, first.keyBytes.length))
  findFirst(found, (row) => {
    const { segment, slot } = at(row)
    if (!bad.has("live", segment, slot) || bad.has("addresses", segment, slot)) return false
    return bad.has("tag", segment, slot) || store.segments[segment]!.tag[slot] === tag
  })
  return found
}

/** Finds the row of the record at address 0, which looks like a row that is not live where its live bit is damaged. */
const findFirst = (addresses: Float64Array, couldBeFirst: (row: number) => boolean): void => {
  const end = addresses.findIndex((address) => address > 0)
  if (addresses.subarray(0, Math.max(end, 0)).includes(0)) return
  const candidates: Array<number> = []
  for (let row = 0; row < (end < 0 ? addresses.length : end); row++) if (couldBeFirst(row)) candidates.push(row)
  if (candidates.length === 1) addresses[candidates[0]!] = 0
}
