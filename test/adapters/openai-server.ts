/** A local server that speaks the wire format of OpenAI's chat completions and embeddings, at once and as events. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** What the model says in place of an echo. */
export interface Said {
  readonly text?: string
  readonly finish?: "stop" | "length" | "tool_calls" | "content_filter"
  readonly toolCalls?: ReadonlyArray<object>
  readonly status?: number
  /** Ends a stream after so many words. */
  readonly cutAfter?: number
}

interface Asked {
  readonly url: string
  readonly body: {
    readonly model: string
    readonly messages: ReadonlyArray<{ readonly content: unknown }>
    readonly stream?: boolean
    readonly input?: string | ReadonlyArray<string>
  }
}

const USAGE = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 }

export class OpenAiServer implements AsyncDisposable {
  readonly asked: Array<Asked> = []
  /** Taken from the front, one a request; an echo of the last message when there is none. */
  readonly says: Array<Said> = []
  /** Answers wait for it. */
  wait: Promise<void> = Promise.resolve()
  /** Connections that callers left before the end. */
  left = 0
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  static async start(): Promise<OpenAiServer> {
    const server = new OpenAiServer()
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Array<Buffer> = []
    for await (const piece of request) pieces.push(piece)
    const body: Asked["body"] = JSON.parse(Buffer.concat(pieces).toString())
    this.asked.push({ url: request.url!, body })
    response.on("close", () => {
      if (!response.writableEnded) this.left++
    })
    await this.wait
    if (request.url!.endsWith("/embeddings")) return this.#embed([body.input!].flat(), response)
    const said = this.says.shift() ?? {}
    if (said.status !== undefined) {
      response.writeHead(said.status, { "content-type": "application/json" })
      response.end(JSON.stringify({ error: { message: "no", type: "server_error", param: null, code: null } }))
    } else if (body.stream) this.#stream(body, said, response)
    else this.#whole(body, said, response)
  }

  #textOf({ messages }: Asked["body"], { text }: Said): string {
    return text ?? `answer ${this.asked.length} to ${JSON.stringify(messages.at(-1)?.content)}`
  }

  #whole(body: Asked["body"], said: Said, response: ServerResponse): void {
    const message = { role: "assistant", content: this.#textOf(body, said), tool_calls: said.toolCalls }
    const choices = [{ index: 0, message, finish_reason: said.finish ?? "stop" }]
    response.writeHead(200, { "content-type": "application/json" })
    response.end(
      JSON.stringify({
        id: "c1",
        object: "chat.completion",
        created: 1_700_000_000,
        model: body.model,
        choices,
        usage: USAGE
      })
    )
  }

  #stream(body: Asked["body"], said: Said, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream" })
    const send = (delta: object, finish: string | null, usage?: object) => {
      const choices = [{ index: 0, delta, finish_reason: finish }]
      const chunk = {
        id: "c1",
        object: "chat.completion.chunk",
        created: 1_700_000_000,
        model: body.model,
        choices,
        usage
      }
      response.write(`data: ${JSON.stringify(chunk)}\n\n`)
    }
    const words = this.#textOf(body, said).split(/(?<= )/)
    for (const word of words.slice(0, said.cutAfter)) send({ role: "assistant", content: word }, null)
    if (said.cutAfter !== undefined) {
      response.destroy()
      return
    }
    if (said.toolCalls !== undefined) send({ tool_calls: said.toolCalls }, null)
    send({}, said.finish ?? "stop", USAGE)
    response.end("data: [DONE]\n\n")
  }

  #embed(input: ReadonlyArray<string>, response: ServerResponse): void {
    const data = input.map((text, index) => ({ object: "embedding", index, embedding: [text.length, 1, 0.1] }))
    response.writeHead(200, { "content-type": "application/json" })
    response.end(
      JSON.stringify({
        object: "list",
        data,
        model: "e",
        usage: { prompt_tokens: input.length, total_tokens: input.length }
      })
    )
  }
}
