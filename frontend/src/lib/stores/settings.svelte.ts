import { getLocale, setLocale, type Locale } from '#lib/paraglide/runtime.js';

export type Theme = 'light' | 'dark' | 'system';
export type Density = 'roomy' | 'compact';

type Store = Pick<Storage, 'getItem' | 'setItem'>;

/** How this browser shows things. `app.html` reads the same keys before the first paint. */
export class Settings {
  #theme = $state<Theme>('system');
  #density = $state<Density>('roomy');
  #lessMotion = $state(false);
  #listWidth = $state(300);
  readonly #storage: Store | undefined;
  readonly #prefersDark: MediaQueryList | undefined;

  constructor(storage?: Store, prefersDark?: MediaQueryList) {
    this.#storage = storage;
    this.#prefersDark = prefersDark;
    const theme = storage?.getItem('natter.theme');
    if (theme === 'light' || theme === 'dark') this.#theme = theme;
    if (storage?.getItem('natter.density') === 'compact') this.#density = 'compact';
    this.#lessMotion = storage?.getItem('natter.motion') === 'less';
    const width = Number(storage?.getItem('natter.list-width'));
    if (width >= LIST_LEAST && width <= LIST_MOST) this.#listWidth = width;
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

  get listWidth(): number {
    return this.#listWidth;
  }

  set listWidth(width: number) {
    this.#listWidth = Math.round(Math.min(LIST_MOST, Math.max(LIST_LEAST, width)));
    this.#storage?.setItem('natter.list-width', String(this.#listWidth));
  }

  get locale(): Locale {
    return getLocale();
  }

  /** Loads the page anew in the other language. */
  set locale(locale: Locale) {
    void setLocale(locale);
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

export const LIST_LEAST = 220;
export const LIST_MOST = 420;
