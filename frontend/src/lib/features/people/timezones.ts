/** Time zones by IANA name. */

const UTC = 'UTC';

/** Old zone names that browsers still report. */
const RENAMED: Record<string, string> = {
  'Africa/Asmera': 'Africa/Asmara',
  'America/Coral_Harbour': 'America/Atikokan',
  'America/Godthab': 'America/Nuuk',
  'Asia/Calcutta': 'Asia/Kolkata',
  'Asia/Katmandu': 'Asia/Kathmandu',
  'Asia/Rangoon': 'Asia/Yangon',
  'Asia/Saigon': 'Asia/Ho_Chi_Minh',
  'Atlantic/Faeroe': 'Atlantic/Faroe',
  'Europe/Kiev': 'Europe/Kyiv',
  'Pacific/Enderbury': 'Pacific/Kanton',
  'Pacific/Ponape': 'Pacific/Pohnpei',
  'Pacific/Truk': 'Pacific/Chuuk'
};

/** Time zone of this device. */
export function deviceZone(): string {
  return present(new Intl.DateTimeFormat().resolvedOptions().timeZone);
}

/** Zone of this device, if the server knows its name; browsers may report none or an offset only. */
export function namedZone(zone = deviceZone()): string | undefined {
  return zone === UTC || (/^[A-Z][\w+-]*(\/[\w+-]+)+$/.test(zone) && zone !== 'Etc/Unknown') ? zone : undefined;
}

/** Selectable zones, including `own`. */
export function zones(own: string): string[] {
  const all = Intl.supportedValuesOf('timeZone').map(present);
  return [...new Set([...all, UTC, own])].sort();
}

/** Canonical name of a zone in the list. */
export function listed(zone: string): string {
  try {
    return present(new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone);
  } catch {
    return zone;
  }
}

/** Area and city: `['Europe', 'Berlin']`, `[undefined, 'UTC']`. */
export function parts(zone: string): [area: string | undefined, city: string] {
  const name = zone.replaceAll('_', ' ');
  const at = name.indexOf('/');
  return at < 0 ? [undefined, name] : [name.slice(0, at), name.slice(at + 1).replaceAll('/', ', ')];
}

/** Offset to this device, in minutes; undefined for unknown zones. */
export function minutesAhead(zone: string, at: Date): number | undefined {
  try {
    const format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
    const offset = format.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(offset) ?? [];
    const ahead = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * (sign === '-' ? -1 : 1);
    return ahead + at.getTimezoneOffset();
  } catch {
    return undefined;
  }
}

/** Whether a zone has the device's offset in summer and winter. */
export function isSameOffset(zone: string, now = new Date()): boolean {
  const year = now.getFullYear();
  return [now, new Date(year, 0), new Date(year, 6)].every((at) => minutesAhead(zone, at) === 0);
}

function present(zone: string): string {
  return RENAMED[zone] ?? zone;
}
