/** Structured output that a call asks for, in the words of the models that LangChain has. */
import { fitsSchema } from "../schema.ts"

const isBag = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The schema that one form of asking names: true for any JSON, undefined when it asks for none. */
const schemaOf = (format: unknown): unknown => {
  if (format === "json") return true
  if (!isBag(format)) return undefined
  const { type, schema, json_schema } = format
  if (type === "json_object") return true
  if (type === "json_schema") return (isBag(json_schema) ? json_schema["schema"] : schema) ?? true
  // Ollama takes the schema itself; a format of text is none.
  return type === "text" ? undefined : format
}

/** Whether a text is the structured output that parameters ask for: true where they ask for none. */
export const isAsAsked = async (text: string, ...parameters: ReadonlyArray<unknown>): Promise<boolean> => {
  const schemas = parameters.filter(isBag).flatMap((given) => {
    const holders = [given, given["text"], given["output_config"], given["outputConfig"]].filter(isBag)
    const formats = [given["response_format"], given["outputFormat"], ...holders.map(({ format }) => format)]
    const isJson = given["responseMimeType"] === "application/json" || undefined
    const { responseSchema, responseJsonSchema } = given
    return [...formats.map(schemaOf), responseSchema, responseJsonSchema, isJson].filter(
      (schema) => schema !== undefined
    )
  })
  if (schemas.length === 0) return true
  try {
    const value: unknown = JSON.parse(text)
    for (const schema of schemas) if (!(await fitsSchema(value, schema))) return false
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
