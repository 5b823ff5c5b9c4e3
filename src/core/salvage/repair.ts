/** Salvaging on its own, of a folder that is not open. */
import { stat } from "node:fs/promises"
import { availableParallelism } from "node:os"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Builder } from "../builder.ts"
import type { SabineError } from "../errors.ts"
import { abortable, attempt } from "../lift.ts"
import { lockFolder } from "../lock.ts"
import { Pool } from "../pool.ts"
import { fails } from "../store/file-failure.ts"
import { checkedSalvage, type Salvage, type SalvageOptions, salvageLocked } from "./salvage.ts"
import { told } from "./untold.ts"

/**
 * Makes a damaged database at `path` whole again of what it still holds, as `open(path, { salvage: true })` does, and
 * ends. The files of before are kept in a folder `damaged-<number>` in it, which is a database as well; when nothing is
 * wrong nothing is changed. Fails with `FolderLocked` when the database is open, with `StorageFailure` when there is no
 * such folder or the system refuses, with `LogInvalid` or `ImageInvalid` when a file is of a newer version, and with
 * `EmbedderFailed`: then nothing was changed, unless files changed their places already, which is gone on with by the next.
 */
export const repair = (path: string, options: SalvageOptions = {}): Effect.Effect<Salvage, SabineError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const checked = yield* attempt(() => checkedSalvage("options", options))
      yield* abortable(() => stat(path).catch(fails("open", path)))
      yield* lockFolder(path)
      const salvage = yield* salvageLocked(path, { pool: yield* Pool, builder: yield* Builder }, checked)
      // Who is interrupted before gets no result.
      yield* abortable(() => told(path))
      return salvage
    })
  ).pipe(Effect.provide(Layer.merge(Pool.layer(availableParallelism()), Builder.layer)))
