/** Streams that are recorded while they pass to one reader or several, and replayed from what was recorded. */
import { Cancelled } from "../errors.ts"
import { jsonOf } from "./json.ts"

/** A stream of either kind. */
type Stream = ReadableStream<unknown> | AsyncIterable<unknown>

export const isReadable = (value: unknown): value is ReadableStream<unknown> => value instanceof ReadableStream

export const isStream = (value: unknown): value is Stream =>
  isReadable(value) || (typeof value === "object" && value !== null && Symbol.asyncIterator in value)

/** What a recording came to: the chunks as a JSON array, or why there is none. */
type Recorded =
  | { readonly json: string }
  /** It failed, or every reader left before its end. */
  | { readonly json: undefined; readonly reason: "cut" | "too-large" | "not-json" }

/** Told of what happens to a recording. */
interface Listener {
  /** Called once, when the stream is over: nobody is told of its end before this settles. */
  readonly onEnd: (recorded: Recorded) => Promise<void>
  /** Called once, when the stream is longer than what is kept: readers that come later would miss its start. */
  readonly onTooLarge: () => void
}

interface Reader {
  /** Chunks that it has read. */
  at: number
}

/**
 * One stream for any number of readers, each from its start. Chunks are asked for when the foremost reader wants one, so
 * a source is never drained ahead of those who read it. When all have left before the end, the source is cancelled. Each
 * chunk becomes text when it comes, before a reader could change it; of what grows too large only the part is held that
 * some reader has not read.
 */
export class Recording {
  readonly #source: AsyncIterator<unknown>
  readonly #listener: Listener
  readonly #maxBytes: number
  readonly #readers = new Set<Reader>()
  #chunks: Array<unknown> = []
  /** Chunks that are no longer held. */
  #dropped = 0
  #texts: Array<string> = []
  #bytes = 0
  #unkept: "too-large" | "not-json" | undefined
  #end: { readonly error?: unknown } | undefined
  #pulling: Promise<void> | undefined

  constructor(stream: Stream, maxBytes: number, listener: Listener) {
    this.#source = stream[Symbol.asyncIterator]()
    this.#maxBytes = maxBytes
    this.#listener = listener
  }

  /** One reader, which is told `Cancelled` and leaves when its signal fires. */
  iterate(signal?: AbortSignal): AsyncIterableIterator<unknown> {
    const reader: Reader = { at: 0 }
    this.#readers.add(reader)
    const leave = async () => {
      signal?.removeEventListener("abort", leave)
      if (this.#readers.delete(reader) && this.#readers.size === 0) await this.#cancel()
    }
    signal?.addEventListener("abort", leave, { once: true })
    const next = async (): Promise<IteratorResult<unknown>> => {
      const isEmpty = () => reader.at === this.#dropped + this.#chunks.length
      while (this.#readers.has(reader) && isEmpty() && this.#end === undefined) await this.#pull()
      if (signal?.aborted) throw new Cancelled()
      if (!this.#readers.has(reader)) return { done: true, value: undefined }
      if (!isEmpty()) {
        const value = this.#chunks[reader.at++ - this.#dropped]
        this.#drop()
        return { done: false, value }
      }
      await leave()
      if (this.#end !== undefined && "error" in this.#end) throw this.#end.error
      return { done: true, value: undefined }
    }
    const iterator: AsyncIterableIterator<unknown> = {
      next,
      return: async () => {
        await leave()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => iterator
    }
    return iterator
  }

  /** Takes the next chunk from the source, once for all who wait for it. */
  #pull(): Promise<void> {
    this.#pulling ??= this.#take().finally(() => {
      this.#pulling = undefined
    })
    return this.#pulling
  }

  async #take(): Promise<void> {
    try {
      const { done, value } = await this.#source.next()
      if (!done) this.#record(value)
      else if (this.#end === undefined) {
        // Who asks again after the end finds what was recorded.
        await this.#listener.onEnd(this.#recorded())
        this.#end = {}
      }
    } catch (error) {
      if (this.#end !== undefined) return
      this.#end = { error }
      await this.#listener.onEnd({ json: undefined, reason: "cut" })
    }
  }

  #record(chunk: unknown): void {
    this.#chunks.push(chunk)
    if (this.#unkept !== undefined) return
    const text = jsonOf(chunk)
    this.#bytes += (text?.length ?? 0) + 1
    if (text === undefined) this.#giveUp("not-json")
    else if (this.#bytes > this.#maxBytes) this.#giveUp("too-large")
    else this.#texts.push(text)
  }

  #giveUp(reason: "too-large" | "not-json"): void {
    this.#unkept = reason
    this.#texts = []
    this.#listener.onTooLarge()
  }

  #recorded(): Recorded {
    if (this.#unkept !== undefined) return { json: undefined, reason: this.#unkept }
    return { json: `[${this.#texts.join(",")}]` }
  }

  /** Lets go of what all have read, where nobody else comes. */
  #drop(): void {
    if (this.#unkept === undefined) return
    const read = Math.min(...Array.from(this.#readers, ({ at }) => at))
    this.#chunks.splice(0, read - this.#dropped)
    this.#dropped = read
  }

  async #cancel(): Promise<void> {
    if (this.#end !== undefined) return
    this.#end = {}
    await Promise.all([this.#source.return?.(), this.#listener.onEnd({ json: undefined, reason: "cut" })])
  }
}

/** An iterator as a web stream: a chunk is asked for when one is wanted. */
export const readableOf = (iterator: AsyncIterator<unknown>): ReadableStream<unknown> =>
  new ReadableStream(
    {
      pull: async (controller) => {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: async () => {
        await iterator.return?.()
      }
    },
    { highWaterMark: 0 }
  )

/** The chunks of a stream that is over, once more. */
export const replayed = async function* (chunks: ReadonlyArray<unknown>): AsyncGenerator<unknown> {
  yield* chunks
}
