import { isComposing } from '#lib/util/composing.ts';

/** Selected option of a combobox. Keys change it while the focus stays in the text field. */
export class ActiveOption<T> {
  index = $state(0);
  readonly #options: () => readonly T[];
  readonly #choose: (option: T) => void;

  constructor(options: () => readonly T[], choose: (option: T) => void) {
    this.#options = options;
    this.#choose = choose;
  }

  get at(): number {
    return Math.min(this.index, Math.max(0, this.#options().length - 1));
  }

  get option(): T | undefined {
    return this.#options()[this.at];
  }

  reset(): void {
    this.index = 0;
  }

  key(event: KeyboardEvent): void {
    if (isComposing(event) || event.altKey || event.ctrlKey || event.metaKey) return;
    const count = this.#options().length;
    if (count === 0) return;
    const next = {
      ArrowDown: (this.at + 1) % count,
      ArrowUp: (this.at - 1 + count) % count,
      PageDown: Math.min(count - 1, this.at + 8),
      PageUp: Math.max(0, this.at - 8)
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      this.index = next;
    } else if (event.key === 'Enter' && this.option !== undefined) {
      event.preventDefault();
      this.#choose(this.option);
    }
  }
}

/** Attachment that scrolls an option into view when it is selected. */
export function scrollIntoView(isChosen: () => boolean) {
  return (element: HTMLElement) => {
    $effect(() => {
      if (isChosen()) element.scrollIntoView({ block: 'nearest' });
    });
  };
}
