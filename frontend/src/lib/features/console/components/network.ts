import * as z from 'zod/mini';
import { m } from '#lib/paraglide/messages.js';

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** Single addresses without prefix length. */
export function addressOf(range: string): string {
  return range.replace(range.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** Address or CIDR range. */
export function networkProblem(text: string): string | undefined {
  return network.safeParse(text.trim()).success ? undefined : m.address_invalid();
}
