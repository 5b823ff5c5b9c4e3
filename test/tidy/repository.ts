/** The files of the repository, tracked or about to be, and what is in them. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("../../", import.meta.url))

const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root })

/** Paths from the root, with forward slashes; a tracked file that was deleted is not listed. */
export const files: ReadonlyArray<string> = [...new Set(listed.toString().split("\0"))].filter(
  (path) => path !== "" && existsSync(root + path)
)

/** Those of `files` that are in one of the folders and have one of the endings. */
export const filesIn = (folders: ReadonlyArray<string>, endings: ReadonlyArray<string>): ReadonlyArray<string> =>
  files.filter(
    (path) => folders.some((folder) => path.startsWith(`${folder}/`)) && endings.some((ending) => path.endsWith(ending))
  )

/** Folders whose every file someone wrote. */
export const SOURCE_FOLDERS = ["src", "native", "test", "bench", "scripts", "examples"]

export const read = (path: string): string => readFileSync(root + path, "utf8")

/** Files that hold text: no NUL among their first bytes. */
export const textFiles: ReadonlyArray<string> = files.filter(
  (path) =>
    !readFileSync(root + path)
      .subarray(0, 8000)
      .includes(0)
)

const parsed = new Map<string, ts.SourceFile>()

export const parse = (path: string): ts.SourceFile => {
  const file = parsed.get(path) ?? ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
  parsed.set(path, file)
  return file
}

/** Every node of a file, parents first. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node
  const children: Array<ts.Node> = []
  ts.forEachChild(node, (child) => {
    children.push(child)
  })
  for (const child of children) yield* nodesOf(child)
}

/** `path:line` of a node. */
export const locate = (node: ts.Node): string => {
  const file = node.getSourceFile()
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
}

/** Fails with the list of violations, one a line. */
export const assertNone = (violations: ReadonlyArray<string>): void =>
  assert.ok(violations.length === 0, `\n${violations.join("\n")}`)
