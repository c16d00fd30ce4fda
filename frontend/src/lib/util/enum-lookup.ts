/** What the server names and this app has words and looks for: a newer server may name what isn’t known here yet. */

export function known<Name extends string, Value>(all: Readonly<Record<Name, Value>>, name: Name): Value | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

/** In words; what isn’t known is called what the server calls it. */
export function nameIn<Name extends string>(names: Readonly<Record<Name, () => string>>, name: Name): string {
  return known(names, name)?.() ?? name;
}

/** As a badge; what isn’t known has a plain one. */
export function badgeIn<Name extends string>(
  badges: Readonly<Record<Name, { look: string; name: () => string }>>,
  name: Name
): { look: string; name: string } {
  const badge = known(badges, name);
  return badge ? { look: badge.look, name: badge.name() } : { look: '', name };
}
