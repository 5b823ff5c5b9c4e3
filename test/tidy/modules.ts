/** What the modules of the repository import and export. */
import { posix } from "node:path"
import ts from "typescript"
import { nodesOf, parse } from "./repository.ts"

export interface Import {
  /** As written. */
  readonly specifier: string
  /** Path from the root of a module of ours, or the specifier of a package. */
  readonly target: string
  /** Erased before the program runs. */
  readonly typeOnly: boolean
  /** Exports of the target that are used, `*` for all of them. */
  readonly names: ReadonlyArray<string>
  /** Whether the file exports on what it imports. */
  readonly reExports: boolean
}

const textOf = (node: ts.Node | undefined): string | undefined =>
  node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined

const resolve = (path: string, specifier: string): string =>
  specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier

/** Members that a file reads through a namespace import, or `*` when the namespace itself travels. */
const membersOf = (file: ts.SourceFile, namespace: string): ReadonlyArray<string> =>
  [...nodesOf(file)]
    .filter((node) => ts.isIdentifier(node) && node.text === namespace && !ts.isNamespaceImport(node.parent))
    .map(({ parent }) => {
      if (ts.isPropertyAccessExpression(parent)) return parent.name.text
      if (ts.isQualifiedName(parent)) return parent.right.text
      return "*"
    })

const importedNames = (file: ts.SourceFile, clause: ts.ImportClause | undefined): ReadonlyArray<string> => {
  if (clause === undefined) return []
  const names = clause.name === undefined ? [] : ["default"]
  const bindings = clause.namedBindings
  if (bindings === undefined) return names
  if (ts.isNamespaceImport(bindings)) return [...names, ...membersOf(file, bindings.name.text)]
  return [...names, ...bindings.elements.map(({ propertyName, name }) => (propertyName ?? name).text)]
}

const reExportedNames = (clause: ts.NamedExportBindings | undefined): ReadonlyArray<string> =>
  clause !== undefined && ts.isNamedExports(clause)
    ? clause.elements.map(({ propertyName, name }) => (propertyName ?? name).text)
    : ["*"]

/** The import that a node is, if it is one. */
const importOf = (file: ts.SourceFile, node: ts.Node): Omit<Import, "target"> | undefined => {
  if (ts.isImportDeclaration(node)) {
    const specifier = textOf(node.moduleSpecifier) ?? ""
    const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
    return { specifier, typeOnly, names: importedNames(file, node.importClause), reExports: false }
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const specifier = textOf(node.moduleSpecifier) ?? ""
    return { specifier, typeOnly: node.isTypeOnly, names: reExportedNames(node.exportClause), reExports: true }
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const specifier = textOf(node.argument.literal) ?? ""
    return { specifier, typeOnly: true, names: [node.qualifier?.getText() ?? "*"], reExports: false }
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const specifier = textOf(node.arguments[0])
    return specifier === undefined ? undefined : { specifier, typeOnly: false, names: ["*"], reExports: false }
  }
  return undefined
}

export const importsOf = (path: string): ReadonlyArray<Import> => {
  const file = parse(path)
  return [...nodesOf(file)].flatMap((node) => {
    const found = importOf(file, node)
    return found === undefined ? [] : [{ ...found, target: resolve(path, found.specifier) }]
  })
}

const isExported = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) &&
  (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)

const declaredNames = (name: ts.BindingName): ReadonlyArray<string> =>
  ts.isIdentifier(name)
    ? [name.text]
    : name.elements.flatMap((element) => (ts.isBindingElement(element) ? declaredNames(element.name) : []))

/** Names that a module exports itself, re-exports apart. */
export const exportsOf = (path: string): ReadonlyArray<string> =>
  parse(path).statements.flatMap((node) => {
    if (ts.isExportAssignment(node)) return ["default"]
    if (ts.isExportDeclaration(node) && node.moduleSpecifier === undefined && node.exportClause !== undefined) {
      return ts.isNamedExports(node.exportClause) ? node.exportClause.elements.map(({ name }) => name.text) : []
    }
    if (!isExported(node)) return []
    if (ts.isVariableStatement(node)) {
      return node.declarationList.declarations.flatMap(({ name }) => declaredNames(name))
    }
    const { name } = node as ts.DeclarationStatement
    return name === undefined ? ["default"] : [name.text]
  })
