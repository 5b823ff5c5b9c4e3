/**
 * Valid arguments made hostile: places of a tree of arguments and what is put there, drawn as numbers so that a case
 * can be written down before the call that may not return.
 */
import { alignedBytes } from "./memory.ts"

/** Which place of the arguments, what is done to it, and a number that decides the rest. */
export type Mutation = readonly [place: number, kind: number, detail: number]

type Holder = Record<string, unknown>

interface Place {
  readonly holder: Holder
  readonly key: string
}

const VIEWS = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array
] as const

const NUMBERS = [
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1, -1, 0.5, 2.5, 3, 4, 63, 64, 65, 127],
  ...[128, 1023, 1024, 1025, 8191, 8192, 8193, 65_535, 65_536, 65_537, 1e6, 2 ** 20, 2 ** 24, 2 ** 30, 2 ** 31 - 1],
  ...[2 ** 31, 2 ** 32 - 64, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53, -(2 ** 31), -(2 ** 53), 1e308, -1e308, 5e-324]
]

const NONSENSE: ReadonlyArray<() => unknown> = [
  () => undefined,
  () => null,
  () => true,
  () => "12",
  () => 12n,
  () => Symbol("s"),
  () => ({}),
  () => [],
  () => () => 1,
  () => new DataView(new ArrayBuffer(64)),
  () => new ArrayBuffer(64),
  () => Object.create(null),
  () => new Proxy([], {}),
  () => [1, 2, 3],
  () => ({ length: 2 ** 32 }),
  () => new Map(),
  () => "x".repeat(100_000)
]

/** Longest array that is copied: one may say that it has 2^32 - 1 elements. */
const MOST_COPIED = 1000

type View = Exclude<InstanceType<(typeof VIEWS)[number]>, never> | Uint8Array

const isView = (value: unknown): value is View => ArrayBuffer.isView(value) && !(value instanceof DataView)

const isTree = (value: unknown): value is Holder => typeof value === "object" && value !== null && !isView(value)

/** Whether there is memory behind a view that others can be made of. */
const hasMemory = (view: View): boolean =>
  view.byteLength > 0 && !(view.buffer instanceof ArrayBuffer && view.buffer.detached)

/** Every place of the tree, outermost first. */
const placesOf = (holder: Holder): ReadonlyArray<Place> =>
  Object.keys(holder).flatMap((key) => {
    const value = holder[key]
    return [{ holder, key }, ...(isTree(value) ? placesOf(value) : [])]
  })

/** A copy of the tree whose views are the same. */
const copyOf = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(copyOf)
  if (!isTree(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]))
}

/** An array whose buffer was taken away. */
const detached = (view: View): View => {
  const gone = new (view.constructor as typeof Uint8Array)(Math.min(view.length, 1024))
  structuredClone(gone.buffer, { transfer: [gone.buffer as ArrayBuffer] })
  return gone
}

/** A view of a buffer that has become smaller or larger since. */
const resized = (view: View, detail: number): View => {
  const bytes = Math.min(view.byteLength, 1024)
  const buffer = new ArrayBuffer(bytes, { maxByteLength: 4096 })
  const made = new (view.constructor as typeof Uint8Array)(buffer)
  buffer.resize(detail % 2 === 0 ? 0 : 4096)
  return made
}

/** Fewer elements, at the end of memory of just that size. */
const cut = (view: View, by: number): View => {
  const length = Math.max(0, view.length - by)
  const type = view.constructor as typeof Uint8Array
  if (view instanceof Uint8Array && view.length > 1 << 16) return alignedBytes(length)
  return new type(view.subarray(0, length) as Uint8Array)
}

/** The same bytes, or those of another argument, as elements of another type or from another place on. */
const recast = (view: View, detail: number): View => {
  const type = VIEWS[detail % VIEWS.length]!
  const shift = (detail >> 4) % 3 === 0 ? 0 : type.BYTES_PER_ELEMENT * ((detail >> 6) % 9)
  const offset = Math.ceil(view.byteOffset / type.BYTES_PER_ELEMENT) * type.BYTES_PER_ELEMENT + shift
  const room = Math.floor((view.buffer.byteLength - offset) / type.BYTES_PER_ELEMENT)
  return room > 0 ? new type(view.buffer as ArrayBuffer, offset, Math.min(room, view.length)) : new type(0)
}

const overlapping = (view: View, other: View): View => {
  const { BYTES_PER_ELEMENT: size } = view
  const offset = Math.ceil(other.byteOffset / size) * size
  const room = Math.max(0, Math.floor((other.buffer.byteLength - offset) / size))
  const type = view.constructor as typeof Uint8Array
  return new type(other.buffer as ArrayBuffer, room > 0 ? offset : 0, Math.min(room, view.length))
}

/** Values that no one expects in it. Large views are written at their start alone. */
const scribbled = (view: View, detail: number): View => {
  if (view instanceof BigUint64Array) return view
  const value = NUMBERS[detail % NUMBERS.length]!
  if (view.length > 1 << 16) return view
  const copy = view.slice() as Exclude<View, BigUint64Array>
  return copy.fill(value, (detail >> 8) % (copy.length + 1))
}

const hostileView = (view: View, kind: number, detail: number, others: ReadonlyArray<View>): unknown => {
  if (!hasMemory(view)) return NONSENSE[detail % NONSENSE.length]!()
  switch (kind % 8) {
    case 0:
      return cut(view, 1 + (detail % 70))
    case 1:
      return cut(view, detail % 2 === 0 ? view.length : view.length >> 1)
    case 2:
      return recast(view, detail)
    case 3:
      return overlapping(view, others[detail % others.length]!)
    case 4:
      return detail % 2 === 0 ? detached(view) : resized(view, detail >> 1)
    case 5:
      return NONSENSE[detail % NONSENSE.length]!()
    default:
      return scribbled(view, detail)
  }
}

const hostileNumber = (value: number, kind: number, detail: number): unknown => {
  if (kind % 8 === 0) return NONSENSE[detail % NONSENSE.length]!()
  if (kind % 8 === 1) return value + ((detail % 257) - 128)
  if (kind % 8 === 2) return value * ((detail % 5) + 0.5)
  return NUMBERS[detail % NUMBERS.length]
}

const hostileTree = (tree: Holder, kind: number, detail: number): unknown => {
  if (!Array.isArray(tree) || tree.length > MOST_COPIED) return NONSENSE[detail % NONSENSE.length]!()
  switch (kind % 6) {
    case 0:
      return []
    case 1:
      return [...tree, ...tree]
    case 2:
      return Object.assign([...tree], { length: 2 ** 32 - 1 })
    case 3:
      return tree.slice(1)
    case 4:
      return [...tree, NONSENSE[detail % NONSENSE.length]!()]
    default:
      return NONSENSE[detail % NONSENSE.length]!()
  }
}

const hostile = (value: unknown, kind: number, detail: number, others: ReadonlyArray<View>): unknown => {
  if (isView(value)) return hostileView(value, kind, detail, others)
  if (typeof value === "number") return hostileNumber(value, kind, detail)
  if (isTree(value)) return hostileTree(value, kind, detail)
  return detail % 2 === 0 ? NUMBERS[detail % NUMBERS.length] : NONSENSE[detail % NONSENSE.length]!()
}

/** The arguments with every mutation done to a copy, one after the other. */
export const mutate = (args: ReadonlyArray<unknown>, mutations: ReadonlyArray<Mutation>): ReadonlyArray<unknown> => {
  const root = copyOf([...args]) as Array<unknown>
  for (const [place, kind, detail] of mutations) {
    const places = placesOf(root as unknown as Holder)
    if (places.length === 0) break
    const { holder, key } = places[place % places.length]!
    const others = places
      .map((one) => one.holder[one.key])
      .filter((one) => isView(one) && hasMemory(one)) as ReadonlyArray<View>
    if (kind % 64 === 63) delete holder[key]
    else holder[key] = hostile(holder[key], kind, detail, others)
  }
  return root
}
