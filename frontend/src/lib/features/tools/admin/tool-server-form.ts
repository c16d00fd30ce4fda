import { m } from '#lib/paraglide/messages.js';
import { parseUrl } from '#lib/util/parse-url.ts';

/** Secret that is passed to a tool server as HTTP header or environment variable. */
export interface Secret {
  name: string;
  /** New value; if empty, the stored one stays. */
  value: string;
  isKept: boolean;
}

export function urlProblem(value: string): string | undefined {
  const url = parseUrl(value.trim());
  return url && ['https:', 'http:'].includes(url.protocol) ? undefined : m.mcp_url_wrong();
}

/** Secrets that have changed, by name; null deletes one. */
export function secretsOf(secrets: readonly Secret[], stored: readonly string[]): Record<string, string | null> {
  const input: Record<string, string | null> = {};
  for (const name of stored) input[name] = null;
  for (const { name, value, isKept } of secrets) {
    const key = name.trim();
    if (isKept && value === '') delete input[key];
    else if (key !== '' && value !== '') input[key] = value;
  }
  return input;
}
