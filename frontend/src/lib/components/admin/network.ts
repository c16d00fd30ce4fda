import * as z from 'zod/mini';
import { m } from '#lib/paraglide/messages.js';

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** One address, or a range as CIDR. */
export function networkProblem(text: string): string | undefined {
  return network.safeParse(text.trim()).success ? undefined : m.address_invalid();
}
