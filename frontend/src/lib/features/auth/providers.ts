import type { Provider, ProviderKind } from '#lib/api/types.ts';

const NAMES: Partial<Record<ProviderKind, string>> = { google: 'Google', microsoft: 'Microsoft', apple: 'Apple' };

/** Display name of a provider, distinct from those of the others in `among`. */
export function providerName({ name, kind }: Provider, among: readonly Provider[] = []): string {
  const brand = NAMES[kind];
  if (brand && among.filter((other) => other.kind === kind).length <= 1) return brand;
  const words = name.replaceAll(/[-_]+/g, ' ').trim();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}
