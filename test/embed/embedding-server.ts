/** A local server that answers as OpenAI (`/v1/embeddings`) and Ollama (`/api/embed`) do, and fails on request. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { hashEmbedder } from "../../src/core/embed/hash.ts"

/** What the server does in place of an answer. */
export type Fault =
  | { readonly status: number; readonly body: string; readonly headers?: Record<string, string> }
  | "slow"
  /** An answer without an end. */
  | "endless"
  | "cut"
  | "cut-body"
  | "wrong-dimension"
  | "nan"
  | "numbers"
  | "reversed"
  | "one-missing"

export interface Request {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: { model: string; input: Array<string>; dimensions?: number; encoding_format?: string }
}

export class EmbeddingServer {
  readonly requests: Array<Request> = []
  /** Taken from the front, one a request. */
  readonly faults: Array<Fault> = []
  /** Under which path it answers: what was cancelled in one test may arrive in the next. */
  #turn = 0
  #url = ""
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #dimensions: number

  constructor(dimensions: number) {
    this.#dimensions = dimensions
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Where it answers until `forget`. */
  url(): string {
    return `${this.#url}/${this.#turn}`
  }

  /** Starts anew: nothing was asked, nothing is to fail, and no request of before counts. */
  forget(): void {
    this.#turn++
    this.requests.length = 0
    this.faults.length = 0
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    const body: Request["body"] = JSON.parse(Buffer.concat(chunks).toString())
    const path = request.url ?? ""
    const url = path.slice(path.indexOf("/", 1))
    if (path.slice(1) !== `${this.#turn}${url}`) return void request.socket.destroy()
    this.requests.push({ url, headers: request.headers, body })
    const fault = this.faults.shift()
    if (fault === "slow") return
    if (fault === "endless") return void endless(response)
    if (fault === "cut") return void request.socket.destroy()
    if (typeof fault === "object") return void response.writeHead(fault.status, fault.headers ?? {}).end(fault.body)
    const text = JSON.stringify(
      url === "/api/embed" ? await this.#ollama(body, fault) : await this.#openai(body, fault)
    )
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
    if (fault !== "cut-body") return void response.end(text)
    response.write(text.slice(0, 40), () => request.socket.destroy())
  }

  async #vectors(input: ReadonlyArray<string>, fault: Fault | undefined): Promise<Array<Float32Array>> {
    const words = input.map((text) => (/[\p{L}\p{N}]/u.test(text) ? text : "symbols"))
    const flat = await hashEmbedder({ dimensions: this.#dimensions }).embed(words)
    const size = fault === "wrong-dimension" ? this.#dimensions - 1 : this.#dimensions
    const rows = input.map((_, i) => flat.slice(i * this.#dimensions, i * this.#dimensions + size))
    if (fault === "nan") rows[0]![1] = Number.NaN
    if (fault === "one-missing") rows.pop()
    return rows
  }

  async #openai(body: Request["body"], fault: Fault | undefined): Promise<object> {
    const rows = await this.#vectors(body.input, fault)
    const base64 = body.encoding_format === "base64" && fault !== "numbers"
    const data = rows.map((row, index) => ({
      object: "embedding",
      index,
      embedding: base64 ? Buffer.from(row.buffer).toString("base64") : [...row]
    }))
    if (fault === "reversed") data.reverse()
    const tokens = body.input.length * 5
    return { object: "list", data, model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens } }
  }

  async #ollama(body: Request["body"], fault: Fault | undefined): Promise<object> {
    const embeddings = (await this.#vectors(body.input, fault)).map((row) => [...row])
    return { model: body.model, embeddings, total_duration: 1, load_duration: 1, prompt_eval_count: 5 }
  }
}

const PART = Buffer.alloc(1 << 16, "[")

/** Writes until nobody reads. */
const endless = (response: ServerResponse): void => {
  const write = () => {
    while (response.write(PART));
  }
  response.on("drain", write)
  write()
}
