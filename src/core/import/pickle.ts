/**
 * Lists of strings and None out of a Python pickle, protocols 0 to 5.
 *
 * A pickle is a program that can call whatever its reader can import. This reader imports and calls nothing: it knows
 * the operations that such lists are written with and refuses every other one.
 */
import { forEachSliced } from "../slice.ts"
import { inNextTurn, leftInTurn } from "../turn.ts"

/** What a pickle is refused with; the importer names the file. */
export class PickleRefused extends Error {
  /** Byte of the operation at fault. */
  readonly at: number

  constructor(at: number, reason: string) {
    super(reason)
    this.at = at
  }
}

/** None is `null`. */
export type Unpickled = ReadonlyArray<string | null>

const OP = {
  mark: 0x28,
  stop: 0x2e,
  none: 0x4e,
  unicode: 0x56,
  binUnicode: 0x58,
  emptyList: 0x5d,
  append: 0x61,
  appends: 0x65,
  get: 0x67,
  binGet: 0x68,
  longBinGet: 0x6a,
  list: 0x6c,
  put: 0x70,
  binPut: 0x71,
  longBinPut: 0x72,
  proto: 0x80,
  shortBinUnicode: 0x8c,
  binUnicode8: 0x8d,
  memoize: 0x94,
  frame: 0x95
} as const

const NEWEST_PROTOCOL = 5
const NEWLINE = 0x0a
/** Longest line of a memo number: more digits than any number of ours has. */
const MOST_DIGITS = 10
const MARK = Symbol("mark")

type Item = string | null | Array<string | null>
type StackItem = Item | typeof MARK

/** Operations between two looks at the clock. */
const OPERATIONS_A_LOOK = 64

/** The list that `bytes` hold, and nothing else, read in turns; rejects with `PickleRefused`. */
export const unpickle = (bytes: Uint8Array): Promise<Unpickled> => new Unpickler(bytes).run()

class Unpickler {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  readonly #stack: Array<StackItem> = []
  readonly #memo = new Map<number, Item>()
  /** The next byte. */
  #next = 0
  /** The operation under way. */
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  async run(): Promise<Unpickled> {
    for (let count = 1; ; count++) {
      if (count % OPERATIONS_A_LOOK === 0 && leftInTurn() <= 0) await inNextTurn()
      this.#at = this.#next
      const op = this.#u8()
      if (op === OP.stop) return this.#result()
      const isUnderWay = this.#do(op)
      if (isUnderWay !== undefined) await isUnderWay
    }
  }

  /** Of what may be long it says when it is over. */
  #do(op: number): Promise<void> | undefined {
    switch (op) {
      case OP.proto:
        if (this.#at > 0 || this.#u8() > NEWEST_PROTOCOL) this.#refuse("no protocol that is known")
        return
      case OP.frame:
        // Frames only say how far to read ahead.
        this.#length(this.#u64())
        return
      case OP.mark:
        this.#stack.push(MARK)
        return
      case OP.none:
        this.#stack.push(null)
        return
      case OP.unicode:
        this.#stack.push(this.#escaped())
        return
      case OP.shortBinUnicode:
        this.#stack.push(this.#text(this.#u8()))
        return
      case OP.binUnicode:
        this.#stack.push(this.#text(this.#u32()))
        return
      case OP.binUnicode8:
        this.#stack.push(this.#text(this.#u64()))
        return
      case OP.emptyList:
        this.#stack.push([])
        return
      case OP.list: {
        const items = this.#sinceMark()
        this.#stack.push([])
        return this.#append(items)
      }
      case OP.append:
        return this.#append(this.#stack.splice(-1))
      case OP.appends:
        return this.#append(this.#sinceMark())
      case OP.put:
        this.#remember(this.#decimal())
        return
      case OP.binPut:
        this.#remember(this.#u8())
        return
      case OP.longBinPut:
        this.#remember(this.#u32())
        return
      case OP.memoize:
        this.#remember(this.#memo.size)
        return
      case OP.get:
        this.#recall(this.#decimal())
        return
      case OP.binGet:
        this.#recall(this.#u8())
        return
      case OP.longBinGet:
        this.#recall(this.#u32())
        return
      default:
        this.#refuse(`operation 0x${op.toString(16).padStart(2, "0")} is none of a list of strings and None`)
    }
  }

  #refuse(reason: string): never {
    throw new PickleRefused(this.#at, reason)
  }

  #result(): Unpickled {
    const [list, ...others] = this.#stack
    if (!Array.isArray(list) || others.length > 0) this.#refuse("the end leaves something else than one list")
    if (this.#next < this.#bytes.length) this.#refuse("bytes after the end")
    return list
  }

  /** Takes what lies above the last mark, and the mark. */
  #sinceMark(): ReadonlyArray<StackItem> {
    const mark = this.#stack.lastIndexOf(MARK)
    if (mark < 0) this.#refuse("no mark")
    const items = this.#stack.splice(mark + 1)
    this.#stack.pop()
    return items
  }

  async #append(items: ReadonlyArray<StackItem>): Promise<void> {
    const list = this.#stack.at(-1)
    if (!Array.isArray(list)) this.#refuse("no list to add to")
    await forEachSliced(items.length, undefined, (i) => {
      const item = items[i]
      if (typeof item !== "string" && item !== null) this.#refuse("wanted a string or None")
      list.push(item)
    })
  }

  #remember(number: number): void {
    const item = this.#stack.at(-1)
    if (item === undefined || item === MARK) this.#refuse("nothing to remember")
    this.#memo.set(number, item)
  }

  #recall(number: number): void {
    const item = this.#memo.get(number)
    if (item === undefined) this.#refuse(`nothing was remembered as ${number}`)
    this.#stack.push(item)
  }

  /** Moves on by `count` bytes that must be there, and returns where they begin. */
  #take(count: number): number {
    const from = this.#next
    if (count > this.#bytes.length - from) this.#refuse("the pickle is cut off")
    this.#next += count
    return from
  }

  #u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  #u64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true))
  }

  /** Refuses a length beyond the end. */
  #length(count: number): void {
    if (count > this.#bytes.length - this.#next) this.#refuse("the pickle is cut off")
  }

  #text(count: number): string {
    const from = this.#take(count)
    try {
      return this.#utf8.decode(this.#bytes.subarray(from, from + count))
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      return this.#refuse("a string is not UTF-8")
    }
  }

  #line(): Uint8Array {
    const end = this.#bytes.indexOf(NEWLINE, this.#next)
    if (end < 0) this.#refuse("the pickle is cut off")
    const line = this.#bytes.subarray(this.#next, end)
    this.#next = end + 1
    return line
  }

  #decimal(): number {
    const line = this.#line()
    const digits = line.length <= MOST_DIGITS ? String.fromCharCode(...line) : ""
    if (!/^\d+$/.test(digits)) this.#refuse("wanted a number")
    return Number(digits)
  }

  /** A string of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. */
  #escaped(): string {
    const line = this.#line()
    const latin = Buffer.from(line.buffer, line.byteOffset, line.length).toString("latin1")
    const text = latin.replaceAll(/\\(?:u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|(.)|$)/gs, (whole, four, eight, other) => {
      if (other !== undefined && !/u/i.test(other)) return whole
      const code = Number.parseInt(four ?? eight, 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : this.#refuse("a string has an unknown escape")
    })
    return text.isWellFormed() ? text : this.#refuse("a string is not Unicode")
  }
}
