/** Tasks that share memory: none may still be at work in it when the caller goes on. */

/** What every task came to, once all have ended; rejects with what the first of those that failed failed with. */
export const allSettled = async <A>(tasks: Iterable<Promise<A>>): Promise<Array<A>> => {
  const results = await Promise.allSettled(tasks)
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason
    return result.value
  })
}
