/** Returns a function that creates the object at its first call, because creating it may block a phone before the first paint. */
export function lazily<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
