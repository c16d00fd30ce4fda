/** Looks up a server value in a map of the app; undefined for values of newer servers. */

export function known<Name extends string, Value>(all: Readonly<Record<Name, Value>>, name: Name): Value | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

/** Label of a value; unknown values are shown as the server sends them. */
export function nameIn<Name extends string>(names: Readonly<Record<Name, () => string>>, name: Name): string {
  return known(names, name)?.() ?? name;
}

/** Badge of a value; unknown values get a neutral one. */
export function badgeIn<Name extends string>(
  badges: Readonly<Record<Name, { look: string; name: () => string }>>,
  name: Name
): { look: string; name: string } {
  const badge = known(badges, name);
  return badge ? { look: badge.look, name: badge.name() } : { look: '', name };
}
