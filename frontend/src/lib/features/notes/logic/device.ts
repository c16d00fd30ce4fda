import { m } from '#lib/paraglide/messages.js';

/** Name of this device for the titles of copies. */
export function deviceName(agent = navigator.userAgent): string {
  if (/iPad|Tablet|Android(?!.*Mobi)/i.test(agent)) return m.note_device_tablet();
  return /Mobi|iPhone/i.test(agent) ? m.note_device_phone() : m.note_device_computer();
}

/** Title of a copy, shortened to the maximum length. */
export function copyTitle(title: string): string {
  const name = title.trim() || m.note_untitled();
  return m.note_copy_title({ title: [...name].slice(0, 160).join(''), device: deviceName() });
}
