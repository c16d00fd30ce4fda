import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

const UNITS = ['KB', 'MB', 'GB'] as const;

/** Formats a size: “656 bytes”, “5 KB”, “2.1 MB”. */
export function formatBytes(size: number): string {
  if (size < 1_024) return size === 1 ? m.bytes_one() : m.bytes({ count: number(size) });
  let unit = 0;
  let count = size / 1_024;
  while (count >= 1_024 && unit < UNITS.length - 1) {
    count /= 1_024;
    unit++;
  }
  const digits = unit > 0 && count < 10 ? 1 : 0;
  return `${number(count, digits)} ${UNITS[unit] ?? 'GB'}`;
}

/** Formats a duration: “0:41”, “1:02:03”. */
export function formatMinutes(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
