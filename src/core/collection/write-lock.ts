/** Who may write: single writes together, while they wait for the log, and everything larger alone. */
import * as Effect from "effect/Effect"
import type { SabineError } from "../errors.ts"
import { ending, type Start } from "../lift.ts"
import { whenRoom } from "../turn.ts"

type Guard = <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>

/** One that waits to write. */
interface Waiting {
  readonly isAlone: boolean
  readonly enter: () => void
}

export class WriteLock {
  /** Who writes at this moment; -1 while somebody writes alone. */
  #writers = 0
  /** Single writes that are under way or wait. */
  #singles = 0
  /** Those that were let in and have not begun: who comes now is behind them. */
  #entering = 0
  /** In order, so that single writes that keep coming cannot hold back one that waits for all. */
  readonly #line = new Set<Waiting>()

  /** Starts a call beside others of its kind, while nothing runs exclusively. It is not stopped once it has begun. */
  readonly together =
    <A>(start: Start<A>): Start<A> =>
    (done, fail) => {
      let state: "waiting" | "running" | "over" = "waiting"
      let ended = (): void => undefined
      const isOver = () => {
        state = "over"
        this.#singles--
      }
      const end = () => {
        this.#leave()
        isOver()
        ended()
      }
      const begin = () => {
        state = "running"
        ending(start, end)(done, fail)
      }
      // One that gave up may have been let in before, and not have begun.
      const waiting = { isAlone: false, enter: () => (state === "waiting" ? begin() : this.#leave()) }
      this.#singles++
      // Nearly always nobody is in the way, and a wait would take longer than the write itself.
      if (this.#enters(false)) begin()
      else this.#lineUp(waiting)
      return async () => {
        if (state === "running") {
          await new Promise<void>((resolve) => {
            ended = resolve
          })
        }
        if (state === "waiting") isOver()
        // Those behind it may have waited for it alone.
        if (this.#line.delete(waiting)) this.#admit()
      }
    }

  /** Settles once the single writes are over that are under way or wait; whoever writes alone is not waited for. */
  readonly singlesDone: Effect.Effect<void> = Effect.suspend(() =>
    this.#singles > 0 ? Effect.orDie(this.exclusively(Effect.void)) : Effect.void
  )

  /** Runs an effect while nobody writes. */
  readonly exclusively: Guard = (effect) =>
    Effect.uninterruptibleMask((restore) => {
      const held = Effect.ensuring(restore(effect), this.#left)
      return this.#enters(true) ? held : Effect.andThen(restore(this.#waitAlone()), held)
    })

  #fits(isAlone: boolean): boolean {
    return isAlone ? this.#writers === 0 : this.#writers >= 0
  }

  #take(isAlone: boolean): void {
    this.#writers = isAlone ? -1 : this.#writers + 1
  }

  /** Whether one that comes now may write at once; then it does. */
  #enters(isAlone: boolean): boolean {
    if (this.#line.size > 0 || this.#entering > 0 || !this.#fits(isAlone)) return false
    this.#take(isAlone)
    return true
  }

  #lineUp(waiting: Waiting): void {
    this.#line.add(waiting)
    // It may be kept waiting by nobody but those that are about to begin.
    this.#admit()
  }

  #waitAlone(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const waiting = { isAlone: true, enter: () => resume(Effect.void) }
      this.#lineUp(waiting)
      return Effect.suspend(() => {
        // It was let in already, and had not begun.
        if (!this.#line.delete(waiting)) return this.#left
        // Those behind it may have waited for it alone.
        return Effect.sync(() => this.#admit())
      })
    })
  }

  readonly #left = Effect.sync(() => this.#leave())

  #leave(): void {
    this.#writers = this.#writers < 0 ? 0 : this.#writers - 1
    this.#admit()
  }

  #admit(): void {
    for (const waiting of this.#line) {
      if (!this.#fits(waiting.isAlone)) return
      this.#line.delete(waiting)
      this.#take(waiting.isAlone)
      this.#entering++
      // Not within this call: writes that wait for nothing would each run inside the one before.
      whenRoom(() => {
        this.#entering--
        waiting.enter()
      })
    }
  }
}

/** The turn of one call under one id, and what tells the one behind it that it is over. */
interface Turn {
  next: (() => void) | undefined
}

/** Runs writes of the same keys one after another. */
export class KeyTurns {
  /** Who came last of those that run or wait under an id: a chain, as whole bursts of first writes wait for one encoder. */
  readonly #last = new Map<string, Turn>()

  /**
   * Starts a call when no other runs under any of these ids, each of which is given once. It lines up for all of them at
   * one moment, so two calls never wait for each other. It is not stopped.
   */
  run<A>(ids: ReadonlyArray<string>, start: Start<A>): Start<A> {
    return (done, fail) => {
      const turns = ids.map((): Turn => ({ next: undefined }))
      const end = () => {
        for (const [i, { next }] of turns.entries()) {
          if (next === undefined) this.#last.delete(ids[i]!)
          else whenRoom(next)
        }
      }
      const begin = () => void ending(start, end)(done, fail)
      let awaited = 0
      const afterOne = () => {
        if (--awaited === 0) begin()
      }
      for (const [i, id] of ids.entries()) {
        const before = this.#last.get(id)
        this.#last.set(id, turns[i]!)
        if (before === undefined) continue
        before.next = afterOne
        awaited++
      }
      if (awaited === 0) begin()
      return undefined
    }
  }
}
