/** A log as far as it can be read, as the event loop asks for it: the storage worker reads, nothing is changed. */
import * as Effect from "effect/Effect"
import type { StorageWorker } from "../../workers/storage.ts"
import { Remote } from "../remote.ts"
import type { LogFault, LogSurvey } from "./log-reader.ts"
import { answered } from "./storage.ts"

/** Bytes of frames that are read at once. */
const READ_BYTES = 1 << 23

export class LogReading {
  readonly #remote: Remote<StorageWorker>
  readonly path: string

  private constructor(path: string) {
    this.path = path
    this.#remote = new Remote("storage", { path, relaxed: false })
  }

  /** The log at a path, for the length of the surrounding scope. */
  static readonly scoped = (path: string) =>
    Effect.acquireRelease(
      Effect.sync(() => new LogReading(path)),
      (reading) => Effect.promise(() => reading.#close())
    )

  /** What it is. Fails with `LogInvalid` or `StorageFailure` when nothing of it can be read. */
  async survey(): Promise<LogSurvey> {
    return answered(this.path, await this.#remote.call((storage) => storage.survey()))
  }

  /** Whether images of a checkpoint are yet to be put in place. */
  async isRestoring(): Promise<boolean> {
    return answered(this.path, await this.#remote.call((storage) => storage.isRestoring()))
  }

  /** Every row of a table whose checksum holds, in order; the others are told to `note`. */
  async *frames(table: "log" | "entries", note: (fault: LogFault) => void): AsyncGenerator<Uint8Array> {
    for (let after: number | undefined = 0; after !== undefined; ) {
      const from: number = after
      const answer = await this.#remote.call((storage) => storage.rows(table, from, READ_BYTES))
      const { frames, faults, next } = answered(this.path, answer)
      for (const fault of faults) note(fault)
      yield* frames
      after = next
    }
  }

  async #close(): Promise<void> {
    // What cannot be closed is closed by ending the thread: nothing was written.
    if (this.#remote.isRunning) await this.#remote.call((storage) => storage.close()).catch(() => undefined)
    await this.#remote.close()
  }
}
