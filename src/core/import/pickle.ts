/**
 * Lists of strings and None out of a Python pickle, protocols 0 to 5.
 *
 * A pickle is a program that can call whatever its reader can import. This reader imports and calls nothing: it knows
 * the operations that such lists are written with and refuses every other one.
 */
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

/** A character of protocol 0, or a run of those that stand for themselves; the last group is no escape. */
const CHARACTERS = /([^\\]{1,4096})|\\(?:u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|([^uU])|[uU]|$)/g

type Item = string | null | Array<string | null>

/** Bytes that are decoded between two looks at the clock, and those that take as long as another operation does. */
const [BYTES_A_LOOK, OPERATION_BYTES] = [1 << 14, 1 << 8]

/** The list that `bytes` hold, and nothing else, read in turns; rejects with `PickleRefused`, or with the signal's reason. */
export const unpickle = (bytes: Uint8Array, signal?: AbortSignal): Promise<Unpickled> =>
  new Unpickler(bytes, signal).run()

class Unpickler {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #signal: AbortSignal | undefined
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  readonly #stack: Array<Item> = []
  /** How much of the stack lies below each mark. */
  readonly #marks: Array<number> = []
  readonly #memo = new Map<number, Item>()
  /** The next byte. */
  #next = 0
  /** The operation under way. */
  #at = 0
  /** Bytes since the last look at the clock. */
  #done = 0

  constructor(bytes: Uint8Array, signal: AbortSignal | undefined) {
    this.#bytes = bytes
    this.#signal = signal
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  async run(): Promise<Unpickled> {
    for (;;) {
      this.#done += OPERATION_BYTES
      if (this.#isFull()) await this.#nextTurn()
      this.#at = this.#next
      const op = this.#u8()
      if (op === OP.stop) return this.#result()
      const isUnderWay = this.#do(op)
      if (isUnderWay !== undefined) await isUnderWay
    }
  }

  async #nextTurn(): Promise<void> {
    await inNextTurn()
    this.#signal?.throwIfAborted()
  }

  /** Whether the rest belongs to the next turn. */
  #isFull(): boolean {
    if (this.#done < BYTES_A_LOOK) return false
    this.#done = 0
    return leftInTurn() <= 0
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
        this.#marks.push(this.#stack.length)
        return
      case OP.none:
        this.#stack.push(null)
        return
      case OP.unicode:
        return this.#pushEscaped()
      case OP.shortBinUnicode:
        return this.#pushText(this.#u8())
      case OP.binUnicode:
        return this.#pushText(this.#u32())
      case OP.binUnicode8:
        return this.#pushText(this.#u64())
      case OP.emptyList:
        this.#stack.push([])
        return
      case OP.list:
        return this.#list()
      case OP.append:
        this.#add(this.#listAt(this.#stack.length - 2), this.#stack.pop())
        return
      case OP.appends:
        return this.#appends()
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
    const [list] = this.#stack
    if (!Array.isArray(list) || this.#stack.length > 1 || this.#marks.length > 0) {
      this.#refuse("the end leaves something else than one list")
    }
    if (this.#next < this.#bytes.length) this.#refuse("bytes after the end")
    return list
  }

  async #list(): Promise<void> {
    const mark = this.#mark()
    const list: Array<string | null> = []
    await this.#move(mark, list)
    this.#stack.push(list)
  }

  async #appends(): Promise<void> {
    const mark = this.#mark()
    await this.#move(mark, this.#listAt(mark - 1))
  }

  /** Takes the last mark. */
  #mark(): number {
    return this.#marks.pop() ?? this.#refuse("no mark")
  }

  /** Where what lies above the last mark begins. */
  get #base(): number {
    return this.#marks.at(-1) ?? 0
  }

  /** The list at a place of the stack, above the last mark. */
  #listAt(at: number): Array<string | null> {
    const list = at < this.#base ? undefined : this.#stack[at]
    return Array.isArray(list) ? list : this.#refuse("no list to add to")
  }

  /** Moves what lies above a mark to the end of a list. */
  async #move(mark: number, list: Array<string | null>): Promise<void> {
    for (let i = mark; i < this.#stack.length; i++) {
      this.#add(list, this.#stack[i])
      this.#done += OPERATION_BYTES
      if (this.#isFull()) await this.#nextTurn()
    }
    this.#stack.length = mark
  }

  #add(list: Array<string | null>, item: Item | undefined): void {
    if (typeof item !== "string" && item !== null) this.#refuse("wanted a string or None")
    list.push(item)
  }

  #remember(number: number): void {
    const item = this.#stack.length > this.#base ? this.#stack.at(-1) : undefined
    if (item === undefined) this.#refuse("nothing to remember")
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

  /** Says when it is over of a text that is long. */
  #pushText(count: number): Promise<void> | undefined {
    const from = this.#take(count)
    if (count > BYTES_A_LOOK) return this.#pushLongText(from, from + count)
    this.#stack.push(this.#decoded(from, from + count, false))
    return undefined
  }

  async #pushLongText(from: number, to: number): Promise<void> {
    let text = ""
    for (let at = from; at < to; at += BYTES_A_LOOK) {
      text += this.#decoded(at, Math.min(to, at + BYTES_A_LOOK), at + BYTES_A_LOOK < to)
      if (this.#isFull()) await this.#nextTurn()
    }
    this.#stack.push(text)
  }

  /** Text of some bytes; with `stream` a character may go on behind them. */
  #decoded(from: number, to: number, stream: boolean): string {
    this.#done += to - from
    try {
      return this.#utf8.decode(this.#bytes.subarray(from, to), { stream })
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
  async #pushEscaped(): Promise<void> {
    const line = this.#line()
    const latin = Buffer.from(line.buffer, line.byteOffset, line.length).toString("latin1")
    let text = ""
    for (const [whole, plain, four, eight, other] of latin.matchAll(CHARACTERS)) {
      const code = Number.parseInt(four ?? eight ?? "", 16)
      if (plain !== undefined || other !== undefined) text += whole
      else text += code <= 0x10ffff ? String.fromCodePoint(code) : this.#refuse("a string has an unknown escape")
      this.#done += whole.length
      if (this.#isFull()) await this.#nextTurn()
    }
    this.#stack.push(text.isWellFormed() ? text : this.#refuse("a string is not Unicode"))
  }
}
