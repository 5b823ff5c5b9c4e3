/** Values that are there at once or later: to wait for those that are there would let others in between. */

/** Whether a value comes later. */
export const isPromise = <A>(value: A | Promise<A>): value is Promise<A> =>
  typeof value === "object" && value !== null && "then" in value

/** What `use` makes of a value, at once where that is there. */
export const whenThere = <A, B>(value: A | Promise<A>, use: (value: A) => B | Promise<B>): B | Promise<B> =>
  isPromise(value) ? value.then(use) : use(value)
