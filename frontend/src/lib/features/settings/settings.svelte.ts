import { getLocale, type Locale } from '#lib/i18n/locale.ts';

export type Theme = 'light' | 'dark' | 'system';
export type Density = 'roomy' | 'compact';

export type Column = 'list' | 'panel';

/** Column width limits, in pixels. */
export const COLUMNS: Record<Column, { least: number; usual: number; most: number }> = {
  list: { least: 220, usual: 300, most: 420 },
  panel: { least: 320, usual: 372, most: 560 }
};

type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** Appearance settings of this browser. `app.html` reads the same keys before the first paint. */
export class SettingsStore {
  #theme = $state<Theme>('system');
  #density = $state<Density>('roomy');
  #lessMotion = $state(false);
  #widths = $state<Record<Column, number>>({ list: COLUMNS.list.usual, panel: COLUMNS.panel.usual });
  readonly #storage: KeyValueStorage | undefined;
  readonly #prefersDark: MediaQueryList | undefined;

  constructor(storage?: KeyValueStorage, prefersDark?: MediaQueryList) {
    this.#storage = storage;
    this.#prefersDark = prefersDark;
    const theme = storage?.getItem('natter.theme');
    if (theme === 'light' || theme === 'dark') this.#theme = theme;
    if (storage?.getItem('natter.density') === 'compact') this.#density = 'compact';
    this.#lessMotion = storage?.getItem('natter.motion') === 'less';
    for (const column of ['list', 'panel'] as const) {
      const width = Number(storage?.getItem(`natter.${column}-width`));
      if (width >= COLUMNS[column].least && width <= COLUMNS[column].most) this.#widths[column] = width;
    }
    prefersDark?.addEventListener('change', () => this.#show());
    this.#show();
  }

  get theme(): Theme {
    return this.#theme;
  }

  set theme(theme: Theme) {
    this.#theme = theme;
    this.#storage?.setItem('natter.theme', theme);
    this.#show();
  }

  get density(): Density {
    return this.#density;
  }

  set density(density: Density) {
    this.#density = density;
    this.#storage?.setItem('natter.density', density);
    this.#show();
  }

  get lessMotion(): boolean {
    return this.#lessMotion;
  }

  set lessMotion(less: boolean) {
    this.#lessMotion = less;
    this.#storage?.setItem('natter.motion', less ? 'less' : '');
    this.#show();
  }

  widthOf(column: Column): number {
    return this.#widths[column];
  }

  setWidth(column: Column, width: number): void {
    const { least, most } = COLUMNS[column];
    this.#widths[column] = Math.round(Math.min(most, Math.max(least, width)));
    this.#storage?.setItem(`natter.${column}-width`, String(this.#widths[column]));
  }

  get locale(): Locale {
    return getLocale();
  }

  #show(): void {
    if (typeof document === 'undefined') return;
    const isDark = this.#theme === 'dark' || (this.#theme === 'system' && this.#prefersDark?.matches === true);
    const root = document.documentElement;
    root.classList.toggle('dark', isDark);
    root.dataset.theme = isDark ? 'dark' : 'light';
    root.dataset.density = this.#density;
    root.dataset.motion = this.#lessMotion ? 'less' : '';
    root.lang = getLocale();
    document.querySelector('meta[name="theme-color"]')?.setAttribute('content', isDark ? '#0b151b' : '#0c2b37');
  }
}
