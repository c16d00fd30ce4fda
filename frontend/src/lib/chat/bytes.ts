import { getLocale } from '#lib/paraglide/runtime.js';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;

/** A size as people say it: 2.1 MB. */
export function inBytes(size: number): string {
  let unit = 0;
  let count = size;
  while (count >= 1_024 && unit < UNITS.length - 1) {
    count /= 1_024;
    unit++;
  }
  return count.toLocaleString(getLocale(), {
    style: 'unit',
    unit: UNITS[unit] ?? 'byte',
    maximumFractionDigits: unit > 1 && count < 10 ? 1 : 0
  });
}

/** How long something plays: 0:41, 1:02:03. */
export function inMinutes(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
