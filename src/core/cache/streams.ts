/** Streams that are recorded while they pass to one reader or several. */
import { orCancelled } from "../abort.ts"
import { Cancelled } from "../errors.ts"
import { jsonOfChunk, type Written } from "./json.ts"

/** A stream of either kind. */
type Stream = ReadableStream<unknown> | AsyncIterable<unknown>

export const isReadable = (value: unknown): value is ReadableStream<unknown> => value instanceof ReadableStream

export const isStream = (value: unknown): value is Stream =>
  isReadable(value) || (typeof value === "object" && value !== null && Symbol.asyncIterator in value)

/** What a recording came to: the chunks as a JSON array, or why there is none. */
type Recorded =
  | { readonly json: string; readonly isOfBytes: boolean }
  /** It failed, or every reader left before its end. */
  | { readonly json: undefined; readonly reason: "cut" | "too-large" | "not-json" }

/** Told of what happens to a recording. */
interface Listener {
  /** Called once, when the stream is over: nobody is told of its end before this settles. */
  readonly onEnd: (recorded: Recorded) => Promise<void>
  /** Called once, when the stream is longer than what is kept: readers that come later would miss its start. */
  readonly onTooLarge: () => void
  /** Called when nobody reads any more what has not ended: its source may wait for something that never comes. */
  readonly onLeft: () => void
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
  /** Whether the chunks are bytes: the first one tells. */
  #isOfBytes: boolean | undefined
  /** Of their JSON, its first bracket included. */
  #bytes = 1
  #unkept: "too-large" | "not-json" | undefined
  #end: { readonly error?: unknown } | undefined
  #pulling: Promise<void> | undefined

  constructor(stream: Stream, maxBytes: number, listener: Listener) {
    this.#source = stream[Symbol.asyncIterator]()
    this.#maxBytes = maxBytes
    this.#listener = listener
  }

  /** Whether it is known already, before the end, that there will be nothing to keep. */
  get isUnkept(): boolean {
    return this.#unkept !== undefined
  }

  /** One reader, which is told `Cancelled` and leaves when its signal fires, even while the source is silent. */
  iterate(signal?: AbortSignal): AsyncIterableIterator<unknown> {
    const reader: Reader = { at: 0 }
    this.#readers.add(reader)
    const leave = async () => {
      signal?.removeEventListener("abort", leaveSoon)
      if (this.#readers.delete(reader) && this.#readers.size === 0) await this.#cancel()
    }
    // A source that fails while it is cancelled fails for nobody.
    const leaveSoon = () => void leave().catch(() => undefined)
    signal?.addEventListener("abort", leaveSoon, { once: true })
    const next = async (): Promise<IteratorResult<unknown>> => {
      const isEmpty = () => reader.at === this.#dropped + this.#chunks.length
      while (this.#readers.has(reader) && isEmpty() && this.#end === undefined) {
        await (signal === undefined ? this.#pull() : orCancelled(this.#pull(), signal))
      }
      if (signal?.aborted) throw new Cancelled()
      if (!this.#readers.has(reader)) return { done: true, value: undefined }
      if (!isEmpty()) {
        const value = this.#chunks[reader.at++ - this.#dropped]
        this.#drop()
        // Of bytes each reader has its own: one may hand them on for good, such as to a worker.
        return { done: false, value: value instanceof Uint8Array ? new Uint8Array(value) : value }
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
    const written = this.#written(chunk)
    if (written.json === undefined) {
      this.#giveUp(written.reason)
      return
    }
    this.#bytes += Buffer.byteLength(written.json) + 1
    if (this.#bytes > this.#maxBytes) this.#giveUp("too-large")
    else this.#texts.push(written.json)
  }

  /** The JSON of a chunk; none when it is not of the kind of those before it. */
  #written(chunk: unknown): Written {
    const isOfBytes = chunk instanceof Uint8Array
    this.#isOfBytes ??= isOfBytes
    if (isOfBytes !== this.#isOfBytes) return { json: undefined, reason: "not-json" }
    return jsonOfChunk(chunk, this.#maxBytes)
  }

  #giveUp(reason: "too-large" | "not-json"): void {
    this.#unkept = reason
    this.#texts = []
    this.#listener.onTooLarge()
  }

  #recorded(): Recorded {
    if (this.#unkept !== undefined) return { json: undefined, reason: this.#unkept }
    return { json: `[${this.#texts.join(",")}]`, isOfBytes: this.#isOfBytes === true }
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
    this.#listener.onLeft()
    const returned = this.#source.return?.()
    await this.#listener.onEnd({ json: undefined, reason: this.#unkept ?? "cut" })
    // Many a source ends only once it has what it waits for, and nobody waits for that.
    if (this.#pulling === undefined) await returned
    else returned?.catch(() => undefined)
  }
}
