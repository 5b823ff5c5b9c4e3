/** Collects the garbage of every thread of this process: V8 does that when it pleases, and until then it looks like growth. */
import { Session } from "node:inspector/promises"
import { setTimeout } from "node:timers/promises"

const COLLECT = { id: 1, method: "HeapProfiler.collectGarbage" }
/** Most that a busy thread takes until it gets to it. */
const PATIENCE_MS = 5000

export class Garbage implements Disposable {
  readonly #session = new Session()
  readonly #threads = new Map<string, () => void>()

  private constructor() {
    this.#session.connect()
    this.#session.on("NodeWorker.attachedToWorker", ({ params }) =>
      this.#threads.set(params.sessionId, () => undefined)
    )
    this.#session.on("NodeWorker.detachedFromWorker", ({ params }) => {
      this.#threads.get(params.sessionId)?.()
      this.#threads.delete(params.sessionId)
    })
    this.#session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => this.#threads.get(params.sessionId)?.())
  }

  /** Threads that are there, and those that come, are told from now on. */
  static async start(): Promise<Garbage> {
    const garbage = new Garbage()
    await garbage.#session.post("NodeWorker.enable", { waitForDebuggerOnStart: false })
    return garbage
  }

  /** Collects, this thread's last; how many threads did. */
  async collect(): Promise<number> {
    const patience = new AbortController()
    // Idle threads do not keep the process alive until they have answered; the timer does.
    const late = setTimeout(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined)
    const others = [...this.#threads.keys()].map(async (sessionId) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#threads.set(sessionId, resolve)
      await this.#session.post("NodeWorker.sendMessageToWorker", { sessionId, message: JSON.stringify(COLLECT) })
      await Promise.race([promise, late])
    })
    await Promise.all(others)
    patience.abort()
    await this.#session.post("HeapProfiler.collectGarbage")
    return 1 + others.length
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }
}
