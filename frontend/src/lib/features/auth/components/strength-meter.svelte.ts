type Check = (password: string, about: string[]) => { score: Score; isCommon: boolean };
export type Score = 0 | 1 | 2 | 3 | 4;

/** Time in milliseconds without input after which the strength is computed. */
const AFTER = 120;

/** Strength of the typed password; the library that computes it is loaded at the first input. */
export class Strength {
  /** Null if nothing is typed or the strength isn't computed yet. */
  score = $state<Score | null>(null);
  isCommon = $state(false);

  constructor(password: () => string, about: () => string[]) {
    $effect(() => {
      const typed = password();
      const known = about();
      if (typed === '') {
        this.score = null;
        this.isCommon = false;
        return;
      }
      let isStale = false;
      const timer = setTimeout(() => {
        loadCheck()
          .then((check) => {
            if (isStale) return;
            const found = check(typed, known);
            this.score = found.score;
            this.isCommon = found.isCommon;
          })
          // If the library can't be loaded, only the rules are shown.
          .catch(() => undefined);
      }, AFTER);
      return () => {
        isStale = true;
        clearTimeout(timer);
      };
    });
  }
}

let loading: Promise<Check> | undefined;

function loadCheck(): Promise<Check> {
  loading ??= import('./password-strength.ts').then(
    ({ check }) => check,
    (error: unknown) => {
      loading = undefined;
      throw error;
    }
  );
  return loading;
}
