/** What every file keeps to: size, names, leftovers, and nothing of the machine it was written on. */
import assert from "node:assert/strict"
import { test } from "node:test"
import ts from "typescript"
import { assertNone, files, filesIn, locate, nodesOf, parse, read, SOURCE_FOLDERS, textFiles } from "./repository.ts"

const LONGEST = 500
const LONG = 300

/** Lines of every text file that match, as `path:line: text`. */
const grep = (pattern: RegExp, paths: ReadonlyArray<string> = textFiles): ReadonlyArray<string> =>
  paths.flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 100)}`] : []))
  )

test("no source file is over 500 lines", (t) => {
  const sizes = filesIn(SOURCE_FOLDERS, [".ts", ".mjs", ".rs", ".py", ".sh"]).map(
    (path) => [path, read(path).split("\n").length - 1] as const
  )
  for (const [path, lines] of sizes) if (lines > LONG) t.diagnostic(`${path}: ${lines} lines`)
  assertNone(sizes.filter(([, lines]) => lines > LONGEST).map(([path, lines]) => `${path}: ${lines} lines`))
})

test("no file or folder is named for what it is not", () => {
  assertNone(files.filter((path) => /util|helper|common|manager|misc/i.test(path)))
})

test("no marker of unfinished work is left", () => {
  // The reporter counts tests that node:test names so, and a vocabulary holds any word.
  const marker = /(?<!`|data\.)\b(to[d]o|fix[m]e|x[x]x|ha[c]k)\b/i
  assertNone(
    grep(
      marker,
      textFiles.filter((path) => !path.endsWith("/vocab.txt"))
    )
  )
})

test("no path of a machine is written down", () => {
  assertNone(grep(/(?<![\w.)}])\/(home|root|work|tmp|Users)\/|\b[A-Z]:\\Users\b/))
})

test("no registry host is written down but where cargo writes it itself", () => {
  assertNone(
    grep(
      /registry\.(npmjs|yarnpkg)|npmjs\.(org|com)|crates\.io/,
      textFiles.filter((path) => !path.endsWith("Cargo.lock") && path !== "test/tidy/text.test.ts")
    )
  )
})

test("lockfiles say what is installed, not from where", () => {
  const lockfiles = files.filter((path) => path.endsWith("package-lock.json"))
  assertNone(grep(/"resolved"/, lockfiles))
})

test("every dependency is pinned to one version", () => {
  const loose = files
    .filter((path) => /(^|\/)package\.json$/.test(path))
    .flatMap((path) => {
      const { dependencies, devDependencies } = JSON.parse(read(path))
      return Object.entries<string>({ ...dependencies, ...devDependencies })
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
        .map(([name, version]) => `${path}: ${name} ${version}`)
    })
  assertNone(loose)
})

test("no catch is empty and nothing is typed any", () => {
  const wrong = filesIn(SOURCE_FOLDERS, [".ts", ".mjs"]).flatMap((path) =>
    [...nodesOf(parse(path))]
      .filter(
        (node) =>
          node.kind === ts.SyntaxKind.AnyKeyword || (ts.isCatchClause(node) && node.block.statements.length === 0)
      )
      .map(locate)
  )
  assertNone(wrong)
})

test("every error class has a heading in README.md", () => {
  const headings = files.includes("README.md") ? read("README.md").match(/^#+ .*$/gm) : []
  const classes = [...nodesOf(parse("src/core/errors.ts"))].flatMap((node) =>
    ts.isClassDeclaration(node) && node.name !== undefined ? [node.name.text] : []
  )
  assert.ok(classes.length > 0)
  assertNone(classes.filter((name) => !headings?.some((heading) => new RegExp(`\\b${name}\\b`).test(heading))))
})
