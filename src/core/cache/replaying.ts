/** Chunks as the streams that they were. */

/** The chunks of a stream that is over, once more. */
export const replayed = async function* (chunks: ReadonlyArray<unknown>): AsyncGenerator<unknown> {
  yield* chunks
}

/** An iterator as a web stream: a chunk is asked for when one is wanted. */
export const readableOf = (iterator: AsyncIterator<unknown>): ReadableStream<unknown> =>
  new ReadableStream(
    {
      pull: async (controller) => {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: async () => {
        await iterator.return?.()
      }
    },
    { highWaterMark: 0 }
  )

/** An iterator of bytes as a stream of bytes, which readers with memory of their own can read too. */
export const byteStreamOf = (iterator: AsyncIterator<unknown>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    type: "bytes",
    pull: async (controller) => {
      for (;;) {
        const { done, value } = await iterator.next()
        if (done) {
          controller.close()
          // Who waits with memory of its own is told so only by this.
          controller.byobRequest?.respond(0)
          return
        }
        if (!(value instanceof Uint8Array)) throw new TypeError("a stream of bytes had a chunk of something else")
        // A stream of bytes has no empty chunks.
        if (value.byteLength === 0) continue
        controller.enqueue(new Uint8Array(value))
        return
      }
    },
    cancel: async () => {
      await iterator.return?.()
    }
  })

/** Whether a stream is one of bytes by its making; it is not read, and stays free to be read. */
export const isByteStream = (stream: ReadableStream<unknown>): boolean => {
  if (stream.locked) return false
  try {
    stream.getReader({ mode: "byob" }).releaseLock()
    return true
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}
