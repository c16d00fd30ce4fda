/** Creates the object at first use, because creating it may block a phone before the first paint. */
export function lazily<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
