/**
 * Keeps the process alive while something runs. Threads that share memory wake each other without a handle that the
 * event loop would know of, so a process that waits for nothing else would end in the middle.
 */
export const aliveDuring = async <A>(work: Promise<A>): Promise<A> => {
  const alive = setInterval(() => {}, 2 ** 30)
  try {
    return await work
  } finally {
    clearInterval(alive)
  }
}
