import { persistentStorage } from '#lib/util/browser-storage.ts';
import { PHONE } from '#lib/util/phone.ts';

const STORAGE_KEY = 'natter.formatting-bar';

/** Whether the buttons for formatting are visible. Chosen per device; by default they are hidden on phones. */
class FormattingBar {
  #isShown = $state<boolean>();

  get isShown(): boolean {
    const stored = persistentStorage.getItem(STORAGE_KEY);
    return this.#isShown ?? (stored === null ? !matchMedia(PHONE).matches : stored === 'shown');
  }

  toggle(): void {
    this.#isShown = !this.isShown;
    persistentStorage.setItem(STORAGE_KEY, this.#isShown ? 'shown' : 'hidden');
  }
}

export const formattingBar = new FormattingBar();
