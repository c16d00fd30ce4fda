import * as z from 'zod/mini';
import { m } from '#lib/paraglide/messages.js';

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** One address as people write it, which the server has as a range of one. */
export function addressOf(range: string): string {
  return range.replace(range.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** One address, or a range as CIDR. */
export function networkProblem(text: string): string | undefined {
  return network.safeParse(text.trim()).success ? undefined : m.address_invalid();
}
