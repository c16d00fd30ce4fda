import type { Provider } from '#lib/api/identity.ts';

const KNOWN = { google: 'Google', microsoft: 'Microsoft', apple: 'Apple' };

/** What people call a provider; one of one's own is called as its operator wrote it, “acme-sso” as “Acme sso”. */
export function providerName({ name, kind }: Provider): string {
  if (kind !== 'oidc') return KNOWN[kind];
  const words = name.replace(/[-_]+/g, ' ').trim();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}
