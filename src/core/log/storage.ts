/**
 * The log of a database, as the thread that opened it sees it: writes wait for one flush together, and no call of
 * the event loop touches the disk.
 */
import * as Comlink from "comlink"
import * as Effect from "effect/Effect"
import type { Answer, StorageSettings, StorageWorker } from "../../workers/storage.ts"
import { CollectionReplaced, LogInvalid, StorageFailure, WorkerCrashed } from "../errors.ts"
import { kernels } from "../native.ts"
import { Remote } from "../remote.ts"
import { forEachSliced } from "../slice.ts"
import { type CleanLog, readMark } from "./clean.ts"
import { numberOf, setNumber } from "./frame.ts"
import type { LoggedCollection, RestoredCollection } from "./schema.ts"

/** Bytes of frames that are read at once. */
const READ_BYTES = 1 << 23
/** Frames of fewer bytes go to the worker in one buffer: handing over a buffer takes longer than copying them. */
const SHARED_BYTES = 1 << 14
/** Bytes that are copied for it at most: copying takes time of the event loop. */
const MOST_SHARED_BYTES = 1 << 18

/** Workers that are asked, one after the other has died, what the first one did. */
const ASK_TRIES = 3

/** Frames of one write, which become durable together. */
interface Pending {
  readonly collection: CollectionLog
  readonly frames: ReadonlyArray<Uint8Array<ArrayBuffer>>
  /** Run once the worker has the frames, while it writes them, and never once `done` or `fail` was. */
  readonly meanwhile: (() => void) | undefined
  readonly done: () => void
  readonly fail: (error: unknown) => void
}

/** What the worker answered about the log at a path; a fault becomes `LogInvalid` or `StorageFailure`. */
export const answered = <A>(path: string, { fault, value }: Answer<A>): A => {
  if (fault === undefined) return value as A
  const { kind, code, reason } = fault
  if (kind === "damaged") throw new LogInvalid({ path, reason })
  throw new StorageFailure({ operation: "log", path, code, cause: reason })
}

export class Storage {
  readonly #remote: Remote<StorageWorker>
  readonly #relaxed: boolean
  readonly path: string
  #waiting: Array<Pending> = []
  #flushing = false
  /** Number of the last frame; undefined until the log was asked. */
  #last: number | undefined
  /** Whether the log itself was seen to end with that: what it has beyond is of this thread. */
  #isFollowed = false
  /** What the log was when it was closed in order, until a collection is made: the worker is not needed to tell. */
  #clean: CleanLog | undefined

  private constructor(settings: StorageSettings, clean: CleanLog | undefined) {
    this.path = settings.path
    this.#clean = clean
    this.#last = clean?.highest
    this.#relaxed = settings.relaxed
    this.#remote = new Remote("storage", settings)
  }

  /** The log at a path, for the length of the surrounding scope. */
  static readonly scoped = (settings: StorageSettings) =>
    Effect.acquireRelease(
      Effect.promise(async () => new Storage(settings, await readMark(kernels, settings.path))),
      (storage) => Effect.promise(() => storage.#close())
    )

  /** Opens the file, or makes it, unless what it was when it was closed tells all there is to know. */
  async open(): Promise<void> {
    if (this.#last !== undefined) return
    const highest = await this.call((storage) => storage.highest())
    // Who asked at the same time may have written since.
    this.#last ??= highest
    this.#isFollowed = true
  }

  async names(): Promise<ReadonlyArray<string>> {
    return this.#clean?.collections.map(({ name }) => name) ?? (await this.call((storage) => storage.names()))
  }

  /** The log of a collection that exists; undefined when there is none of the name. */
  async collection(name: string): Promise<CollectionLog | undefined> {
    // Whatever is missing from the end of the log is missed before anything of it is used.
    if (this.#last === undefined) await this.open()
    const logged =
      this.#clean === undefined
        ? await this.call((storage) => storage.collection(name))
        : this.#clean.collections.find((known) => known.name === name)
    return logged && new CollectionLog(this, name, logged)
  }

  async create(name: string, shape: string): Promise<CollectionLog> {
    const made = await this.call((storage) => storage.create(name, shape))
    this.#clean = undefined
    return new CollectionLog(this, name, made)
  }

  /**
   * Puts the collections of a checkpoint in the place of all there are. When this fails, everything is as it was. Nobody
   * writes meanwhile.
   */
  async restore(checkpoint: string, collections: ReadonlyArray<RestoredCollection>): Promise<void> {
    this.#clean = undefined
    this.#last = undefined
    try {
      await this.call((storage) => storage.restore(checkpoint, collections))
    } catch (error) {
      // A worker that died may have committed first, and so may one that cannot be asked.
      const restoring = await this.restoring().catch(() => checkpoint)
      if (restoring !== checkpoint) throw error
    }
  }

  /** The checkpoint whose images are yet to be put in place; undefined for none. A log that was closed in order has none. */
  async restoring(): Promise<string | undefined> {
    return this.#clean === undefined ? await this.call((storage) => storage.restoring()) : undefined
  }

  /** They are in place. */
  async restored(): Promise<void> {
    await this.call((storage) => storage.restored())
    // Whoever deletes the checkpoint may rely on it.
    await this.flush()
  }

  /** Asks the worker. */
  async call<A>(use: (storage: Comlink.Remote<StorageWorker>) => Promise<Answer<A>>): Promise<A> {
    return answered(this.path, await this.#remote.call(use))
  }

  /** Fails when somebody else wrote since the folder was opened. */
  async follows(): Promise<void> {
    if (this.#last === undefined) await this.open()
    const last = this.#last!
    await this.call((storage) => storage.follows(last))
  }

  /** Makes durable what was acknowledged before it was. */
  async flush(): Promise<void> {
    if (this.#relaxed) await this.call((storage) => storage.flush())
  }

  /** Gives free space of the file back to the system, a piece at a time: writes go on between. */
  async compact(): Promise<void> {
    while (await this.call((storage) => storage.compact()));
  }

  append(
    collection: CollectionLog,
    frames: ReadonlyArray<Uint8Array<ArrayBuffer>>,
    meanwhile?: () => void
  ): Promise<void> {
    return new Promise((done, fail) => {
      this.#waiting.push({ collection, frames, meanwhile, done, fail })
      if (!this.#flushing) void this.#flush()
    })
  }

  /** Commits what waits, again and again: what arrives during a flush shares the next. */
  async #flush(): Promise<void> {
    this.#flushing = true
    // Calls of this turn share the first.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        await this.#commit(group)
        for (const { done } of group) done()
      } catch (error) {
        for (const { fail } of group) fail(error)
      }
    }
    this.#flushing = false
  }

  async #commit(group: ReadonlyArray<Pending>): Promise<void> {
    if (this.#last === undefined) await this.open()
    const before = this.#last!
    const previous = new Map(group.map(({ collection }) => [collection, collection.last]))
    try {
      for (const { collection, frames } of group) {
        for (const frame of frames) {
          this.#last!++
          setNumber(frame, { number: this.#last!, previous: collection.last, collection: collection.id })
          collection.last = this.#last!
        }
      }
      const frames = shareBuffer(group.flatMap(({ frames }) => frames))
      const buffers = [...new Set(frames.map(({ buffer }) => buffer))]
      const [written] = await Promise.allSettled([
        this.call((storage) => storage.append(Comlink.transfer(frames, buffers))),
        // Many may have gathered. Of a write that fails nothing may run any more: then its rows are those of others.
        forEachSliced(group.length, undefined, (i) => group[i]!.meanwhile?.(), 1)
      ])
      if (written.status === "rejected") throw written.reason
      this.#isFollowed = true
    } catch (error) {
      const wasWritten = await this.#wasWritten(error)
      if (wasWritten === true) return
      for (const [collection, last] of previous) collection.last = last
      // Where nobody could tell, their numbers are not given again.
      if (wasWritten === false) this.#last = before
      throw error
    }
  }

  /** Whether the log has the frames that an append failed for; undefined where nobody can tell. */
  async #wasWritten(error: unknown): Promise<boolean | undefined> {
    if (error instanceof StorageFailure || error instanceof LogInvalid) return false
    // A worker that died may have written them first: then they are what the next opening finds, and the write is done.
    return error instanceof WorkerCrashed ? this.#has(this.#last!) : undefined
  }

  /** Whether the log has a frame, and everything before it, as durable as it is to be; undefined where nobody can tell. */
  async #has(number: number): Promise<boolean | undefined> {
    for (let tries = 1; this.#isFollowed && tries <= ASK_TRIES; tries++) {
      try {
        return await this.call((storage) => storage.has(number))
      } catch (error) {
        if (!(error instanceof WorkerCrashed)) return undefined
      }
    }
    return undefined
  }

  async #close(): Promise<void> {
    if (this.#remote.isRunning) {
      // What cannot be closed in order is closed by ending the thread: everything acknowledged is on the disk.
      await this.#remote.call((storage) => storage.close()).catch(() => undefined)
    }
    await this.#remote.close()
  }
}

/** The same frames, small ones in a buffer that they share. */
const shareBuffer = (frames: ReadonlyArray<Uint8Array<ArrayBuffer>>): ReadonlyArray<Uint8Array<ArrayBuffer>> => {
  let bytes = 0
  const isCopied = frames.map(({ length }) => {
    if (length < SHARED_BYTES) bytes += length
    return length < SHARED_BYTES && bytes <= MOST_SHARED_BYTES
  })
  const small = frames.filter((_, i) => isCopied[i])
  if (small.length < 2) return frames
  const shared = new ArrayBuffer(small.reduce((bytes, { length }) => bytes + length, 0))
  let at = 0
  return frames.map((frame, i) => {
    if (!isCopied[i]) return frame
    const copy = new Uint8Array(shared, at, frame.length)
    copy.set(frame)
    at += frame.length
    return copy
  })
}

/** The frames of one collection. */
export class CollectionLog {
  readonly #storage: Storage
  readonly name: string
  readonly id: number
  /** What the collection was made with, as JSON. */
  readonly shape: string
  /** Frames up to this one are no longer in the log. */
  readonly folded: number
  /** Number of its newest frame. */
  last: number
  /** Bytes of frames that were written since it was opened. */
  bytes = 0
  /** Writes an image: what is not in frames, such as a codebook, becomes durable by it. */
  save: () => Promise<void> = () => Promise.resolve()
  /** Makes images and log as small as they can be; the bytes that they take less. */
  compact: () => Promise<number> = async () => 0
  /** Whether the database went back to a checkpoint since: nothing of this collection is written any more. */
  isReplaced = false
  /** Called when frames were written. */
  onAppend: () => void = () => undefined

  constructor(storage: Storage, name: string, { id, shape, folded, last }: LoggedCollection) {
    this.#storage = storage
    this.name = name
    this.id = id
    this.shape = shape
    this.folded = folded
    this.last = Math.max(last, folded)
  }

  /** Writes frames, all or none; they are durable when this resolves. `meanwhile` runs while the disk does, and must not throw. */
  async append(frames: ReadonlyArray<Uint8Array<ArrayBuffer>>, meanwhile?: () => void): Promise<void> {
    if (this.isReplaced) throw new CollectionReplaced({ collection: this.name })
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0)
    await this.#storage.append(this, frames, meanwhile)
    this.bytes += bytes
    this.onAppend()
  }

  /**
   * Before an image is written: it must not know of frames that a loss of power could take from the log, nor take the
   * place of images that know of more.
   */
  async flush(): Promise<void> {
    await this.#storage.follows()
    await this.#storage.flush()
  }

  /** The file that the frames are in. */
  get path(): string {
    return this.#storage.path
  }

  /** Gives free space of the file back to the system. */
  vacuum(): Promise<void> {
    return this.#storage.compact()
  }

  /** The frames after `number`, in order; fails with `LogInvalid` when one is missing. */
  async *after(number: number): AsyncGenerator<Uint8Array> {
    for (let at = number; at < this.last; ) {
      const from = at
      const frames = await this.#storage.call((storage) => storage.frames(this.id, from, READ_BYTES))
      if (frames.length === 0) throw this.#missing(this.last)
      for (const frame of frames) {
        const { number: found, previous } = numberOf(frame)
        if (previous > at) throw this.#missing(previous)
        at = found
        yield frame
      }
    }
  }

  #missing(number: number): LogInvalid {
    return new LogInvalid({ path: this.#storage.path, reason: `frame ${number} of ${this.name} is missing` })
  }

  /** Takes frames up to `number` out of the log, once two images hold them. */
  async fold(number: number): Promise<void> {
    while (await this.#storage.call((storage) => storage.fold(this.name, number)));
  }
}
