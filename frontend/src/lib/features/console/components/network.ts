import * as z from 'zod/mini';
import { m } from '#lib/paraglide/messages.js';

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** Shortens the range of a single address to the address, without a prefix length. */
export function addressOf(range: string): string {
  return range.replace(range.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** Returns a message if the text is neither an address nor a CIDR range. */
export function networkProblem(text: string): string | undefined {
  return network.safeParse(text.trim()).success ? undefined : m.address_invalid();
}
