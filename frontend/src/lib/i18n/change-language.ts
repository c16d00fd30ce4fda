import { loadMessages } from '#lib/paraglide/groups/initial.js';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { setLocale, type Locale } from './locale.ts';

/**
 * Reloads the page in another language. Returns whether that is possible: offline, only the texts of the current language are there, and the
 * reloaded page would have none.
 */
export async function changeLanguage(locale: Locale): Promise<boolean> {
  try {
    await loadMessages(locale);
  } catch {
    toast(m.part_failed());
    return false;
  }
  setLocale(locale);
  return true;
}
