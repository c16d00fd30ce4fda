/** Time zones by their IANA names. */

const UTC = 'UTC';

/** Old names of zones that browsers still report, with the current ones. */
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
  return currentZoneName(new Intl.DateTimeFormat().resolvedOptions().timeZone);
}

/** Time zone of this device; undefined if the server doesn't know its name. Some browsers report none, or only an offset. */
export function namedZone(zone = deviceZone()): string | undefined {
  return zone === UTC || (/^[A-Z][\w+-]*(\/[\w+-]+)+$/.test(zone) && zone !== 'Etc/Unknown') ? zone : undefined;
}

/** Time zones that can be selected, including `own`. */
export function zones(own: string): string[] {
  const all = Intl.supportedValuesOf('timeZone').map(currentZoneName);
  return [...new Set([...all, UTC, own])].sort();
}

/** Name under which a zone is listed. */
export function listedZone(zone: string): string {
  try {
    return currentZoneName(new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone);
  } catch {
    return zone;
  }
}

/** Area and city of a zone: `['Europe', 'Berlin']`, `[undefined, 'UTC']`. */
export function parts(zone: string): [area: string | undefined, city: string] {
  const name = zone.replaceAll('_', ' ');
  const at = name.indexOf('/');
  return at < 0 ? [undefined, name] : [name.slice(0, at), name.slice(at + 1).replaceAll('/', ', ')];
}

/** Difference of a zone to this device in minutes, positive if it is ahead; undefined if the browser doesn't know it. */
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

/** Whether a zone has the same offset as this device in summer and in winter. */
export function isSameOffset(zone: string, now = new Date()): boolean {
  const year = now.getFullYear();
  return [now, new Date(year, 0), new Date(year, 6)].every((at) => minutesAhead(zone, at) === 0);
}

function currentZoneName(zone: string): string {
  return RENAMED[zone] ?? zone;
}
