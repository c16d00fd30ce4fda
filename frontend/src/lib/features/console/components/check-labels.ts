import type { CheckAbout } from '../api.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const NAMES: Record<CheckAbout, () => string> = {
  configuration: m.check_configuration,
  disk: m.check_disk,
  key: m.check_key,
  database: m.check_database,
  replica: m.check_replica,
  clock: m.check_clock,
  search: m.check_search,
  redis: m.check_redis,
  bus: m.check_bus,
  events: m.check_events,
  mail: m.check_mail,
  ai: m.check_ai,
  public_address: m.check_public_address,
  backups: m.check_backups,
  files: m.check_files,
  jobs: m.check_jobs
};

/** Label of a health check. Checks that only a newer server knows are shown as they are. */
export function checkName(about: CheckAbout): string {
  return nameIn(NAMES, about);
}
