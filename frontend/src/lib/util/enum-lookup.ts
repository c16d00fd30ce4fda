/** Returns the entry for a value of the server; undefined for values that only a newer server knows. */

export function lookUp<Name extends string, Value>(all: Readonly<Record<Name, Value>>, name: Name): Value | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

/** Label of a value. A value that only a newer server knows is shown as it is. */
export function nameIn<Name extends string>(names: Readonly<Record<Name, () => string>>, name: Name): string {
  return lookUp(names, name)?.() ?? name;
}

/** Badge of a value. A value that only a newer server knows gets a neutral one. */
export function badgeIn<Name extends string>(
  badges: Readonly<Record<Name, { look: string; name: () => string }>>,
  name: Name
): { look: string; name: string } {
  const badge = lookUp(badges, name);
  return badge ? { look: badge.look, name: badge.name() } : { look: '', name };
}
