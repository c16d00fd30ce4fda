/** Makes something when it is first needed: what makes it may keep a phone busy before anything is seen. */
export function lazily<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
