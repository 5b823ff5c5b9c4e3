/** `read.ts <file>`: milliseconds of plain reads of a file into fresh memory. */
import { closeSync, openSync, readSync, statSync } from "node:fs"

const [path = ""] = process.argv.slice(2)
const { size } = statSync(path)
const file = openSync(path, "r")
const start = performance.now()
const bytes = Buffer.allocUnsafeSlow(size)
for (let done = 0; done < size; ) done += readSync(file, bytes, done, size - done, done)
console.log(performance.now() - start)
closeSync(file)
