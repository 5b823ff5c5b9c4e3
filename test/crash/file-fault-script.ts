/**
 * A process under `native/faultfs` that uses single files with each call failing: what is said of the failure, and whether
 * something else is done in its place.
 */
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { StorageFailure } from "../../src/core/errors.ts"
import { Acknowledged } from "../../src/core/log/acknowledged.ts"
import { kernels } from "../../src/core/native.ts"
import { isRefusal } from "../../src/core/store/file-failure.ts"
import { linkFile } from "../../src/core/store/link-file.ts"
import { arm, callsAndFaults, disarm, folder } from "./fault-control.ts"

const [EIO, EACCES, EMFILE, EUCLEAN] = [5, 13, 24, 117]
const NUMBER = 7

export interface FileOutcome {
  /** What became of asking for a number, by code: itself, none, or an error. */
  readonly numbers: Record<number, Array<number | string>>
  /** By code, the names that failures to give a second name have, and whether they are refusals. */
  readonly failures: Record<number, Array<readonly [code: string, isRefusal: boolean]>>
}
const outcome: FileOutcome = { numbers: {}, failures: {} }

/** Does something with each of its calls failing; `seen` takes what came of it. */
const eachFailing = async <A>(
  code: number,
  work: () => Promise<A> | A,
  seen: (result: { readonly value: A } | { readonly error: unknown }) => void
): Promise<void> => {
  for (let from = 1; ; from++) {
    arm({ from, to: from, code })
    const result = await (async () => work())().then(
      (value) => ({ value }),
      (error: unknown) => ({ error })
    )
    const [, faults] = callsAndFaults()
    arm()
    if (faults === 0) return
    seen(result)
  }
}

arm()
const [from, to] = [join(folder, "a"), join(folder, "b")]
writeFileSync(from, "content")
for (const code of [EACCES, EUCLEAN]) {
  const failures: Array<readonly [code: string, isRefusal: boolean]> = []
  await eachFailing(
    code,
    () => linkFile(from, to),
    (result) => {
      if ("value" in result) return assert.equal(readFileSync(to, "utf8"), "content")
      const { error } = result
      failures.push([error instanceof StorageFailure ? error.code : String(error), isRefusal(error)])
    }
  )
  outcome.failures[code] = failures
}
const log = join(folder, "log")
new Acknowledged(kernels, log).note(NUMBER, true)
for (const code of [EIO, EMFILE]) {
  const numbers: Array<number | string> = []
  await eachFailing(
    code,
    () => new Acknowledged(kernels, log).read(),
    (result) => numbers.push("value" in result ? result.value : (result.error as NodeJS.ErrnoException).code!)
  )
  outcome.numbers[code] = numbers
}
disarm()
process.stdout.write(`\n${JSON.stringify(outcome)}\n`)
