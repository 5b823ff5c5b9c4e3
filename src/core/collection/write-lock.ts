/** Who may write: single writes together, while they wait for the log, and everything larger alone. */
import * as Effect from "effect/Effect"
import type { SabineError } from "../errors.ts"
import { whenRoom } from "../turn.ts"

type Guard = <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>

/** One that waits to write. */
interface Waiting {
  readonly isAlone: boolean
  readonly enter: () => void
}

export class WriteLock {
  /** Single writes that are under way; -1 while somebody writes alone. */
  #writers = 0
  /** In order, so that single writes that keep coming cannot hold back one that waits for all. */
  readonly #line = new Set<Waiting>()

  /** Runs an effect beside others of its kind, while nothing runs exclusively. It is not interrupted once it has begun. */
  readonly together: Guard = (effect) =>
    Effect.uninterruptibleMask((restore) => {
      const held = Effect.ensuring(effect, this.#leave)
      // Nearly always nobody is in the way, and a wait would take longer than the write itself.
      return this.#enters(false) ? held : Effect.andThen(restore(this.#wait(false)), held)
    })

  /** Runs an effect while nobody writes. */
  readonly exclusively: Guard = (effect) =>
    Effect.uninterruptibleMask((restore) => {
      const held = Effect.ensuring(restore(effect), this.#leave)
      return this.#enters(true) ? held : Effect.andThen(restore(this.#wait(true)), held)
    })

  #fits(isAlone: boolean): boolean {
    return isAlone ? this.#writers === 0 : this.#writers >= 0
  }

  #take(isAlone: boolean): void {
    this.#writers = isAlone ? -1 : this.#writers + 1
  }

  /** Whether one that comes now may write at once; then it does. */
  #enters(isAlone: boolean): boolean {
    if (this.#line.size > 0 || !this.#fits(isAlone)) return false
    this.#take(isAlone)
    return true
  }

  #wait(isAlone: boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const waiting = { isAlone, enter: () => resume(Effect.void) }
      this.#line.add(waiting)
      return Effect.suspend(() => {
        // It was let in already, and had not begun.
        if (!this.#line.delete(waiting)) return this.#leave
        // Those behind it may have waited for it alone.
        return Effect.sync(() => this.#admit())
      })
    })
  }

  readonly #leave = Effect.sync(() => {
    this.#writers = this.#writers < 0 ? 0 : this.#writers - 1
    this.#admit()
  })

  #admit(): void {
    for (const waiting of this.#line) {
      if (!this.#fits(waiting.isAlone)) return
      this.#line.delete(waiting)
      this.#take(waiting.isAlone)
      // Not within this call: writes that wait for nothing would each run inside the one before.
      whenRoom(waiting.enter)
    }
  }
}

/** Runs writes of the same key one after another. */
export class KeyTurns {
  /** What starts those that wait for the write of a key that is under way. */
  readonly #busy = new Map<string, Array<() => void>>()

  /** Runs an effect when no other runs under this id. */
  run<A>(id: string, effect: Effect.Effect<A, SabineError>): Effect.Effect<A, SabineError> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        const waiting = this.#busy.get(id)
        const held = Effect.ensuring(
          effect,
          Effect.sync(() => this.#end(id))
        )
        if (waiting === undefined) {
          this.#busy.set(id, [])
          return held
        }
        const turn = Effect.callback<void>((resume) => void waiting.push(() => resume(Effect.void)))
        return Effect.andThen(turn, held)
      })
    )
  }

  /** Starts the next write of the key, if one waits. */
  #end(id: string): void {
    const next = this.#busy.get(id)?.shift()
    if (next === undefined) this.#busy.delete(id)
    else whenRoom(next)
  }
}
