/**
 * Breaks the kernels one fault at a time, in a copy, and checks that the test named for each fault fails.
 *
 *   npm run mutate                 all of scripts/mutate-kernels/mutants.mjs
 *   npm run mutate -- fastscan     those whose file or fault contains the text
 *
 * A survivor is a hole in the tests: close it there. A fault that no longer applies to its file fails too.
 */
import { spawnSync } from "node:child_process"
import { mutants } from "./mutate-kernels/mutants.mjs"
import { Scratch } from "./mutate-kernels/scratch.mjs"

const wanted = process.argv[2] ?? ""
const chosen = mutants.filter(({ file, fault }) => `${file} ${fault}`.includes(wanted))
const isNative = ({ file }) => file.startsWith("native/")
const hasCargo = spawnSync("cargo", ["--version"]).error === undefined

const scratch = new Scratch()
process.once("exit", () => scratch.remove())
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

if (hasCargo && !scratch.buildAddon()) throw new Error("the addon does not build as it is")
const isas = hasCargo ? scratch.isas() : undefined

const run = ({ test, name, isa }) => (test === undefined ? scratch.testInRust(name) : scratch.test(test, name, isa))

/** Why a mutant cannot be told from the kernel here; undefined when it can. */
const reasonToSkip = (mutant) => {
  if (isas === undefined && (isNative(mutant) || /native-/.test(mutant.test))) return "cargo is not on the PATH"
  if (mutant.isa !== undefined && !isas.includes(mutant.isa)) return `this CPU has no ${mutant.isa}`
  return undefined
}

/** What each named test does to the kernels as they are, asked once. */
const sound = new Map()
const isSound = (mutant) => {
  const key = [mutant.test, mutant.name, mutant.isa].join(" ")
  if (!sound.has(key)) sound.set(key, run(mutant))
  const { ran, passed } = sound.get(key)
  return ran && passed
}

/** Whether the broken file still makes a program. */
const builds = (mutant) => (isNative(mutant) ? scratch.buildAddon() : scratch.loads(mutant.file))

/** Whether the addon is that of a fault, and has to be built again before a sound one is needed. */
let isFaulty = false

/** `killed`, or what is wrong. */
const outcome = (mutant) => {
  const { file, from, to } = mutant
  const text = scratch.read(file)
  if (text.split(from).length !== 2) return "stale: its text is not in the file exactly once"
  if (!isSound(mutant)) return "unsound: its test fails, or does not run, without the fault"
  scratch.write(
    file,
    text.replace(from, () => to)
  )
  try {
    if (!builds(mutant)) return "broken: it does not build"
    return run(mutant).passed ? "survived" : "killed"
  } finally {
    scratch.write(file, text)
    isFaulty ||= isNative(mutant)
  }
}

let [passed, failed, skipped] = [0, 0, 0]
for (const mutant of chosen) {
  if (isFaulty) isFaulty = !scratch.buildAddon()
  const skip = reasonToSkip(mutant)
  const result = skip === undefined ? outcome(mutant) : `skipped: ${skip}`
  if (skip !== undefined) skipped++
  else if (result === "killed") passed++
  else failed++
  console.log(
    `${result.padEnd(8)}  ${mutant.file}: ${mutant.fault}  (${mutant.name}${mutant.isa ? ` on ${mutant.isa}` : ""})`
  )
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
