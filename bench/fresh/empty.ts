/** What a process takes that does nothing. */
console.log(performance.now())
