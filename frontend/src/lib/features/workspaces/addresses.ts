/** Maximum number of addresses that the server invites in one call. */
export const BATCH_SIZE = 100;

/** Returns the email addresses of a pasted list or CSV file, each once: separated by anything, with or without names, such as `Anna <anna@example.com>`. */
export function addressesIn(text: string): string[] {
  const found = text.match(/[^\s,;:<>()[\]"'|]+@[^\s,;:<>()[\]"'|]+/g) ?? [];
  return [...new Set(found.map((address) => address.replace(/\.+$/, '').toLowerCase()))];
}
