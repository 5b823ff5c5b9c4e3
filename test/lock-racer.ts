/** A thread that asks for the lock of a folder when it is told to, says what came of it, and holds it until told again. */
import { parentPort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { isSabineError } from "../src/core/errors.ts"
import { lockFolder } from "../src/core/lock.ts"

let release: () => void = () => undefined

parentPort!.on("message", (folder: string | undefined) => {
  if (folder === undefined) return release()
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const hold = Effect.andThen(lockFolder(folder), () => {
    parentPort!.postMessage("locked")
    return Effect.promise(() => held)
  })
  Effect.runPromise(Effect.scoped(hold)).then(
    () => parentPort!.postMessage("released"),
    (error) => parentPort!.postMessage(isSabineError(error) ? error._tag : String(error))
  )
})
