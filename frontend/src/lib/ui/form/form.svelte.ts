import { ApiError } from '#lib/api/client.ts';
import { fieldError, errorMessage } from '#lib/api/error-messages.ts';

type Problem = (value: string) => string | undefined;

/** Fields that error codes refer to. */
const FIELD_OF: Record<string, string> = { email_taken: 'email', name_taken: 'title' };

/** Form state: validates on blur, keeps input and assigns server errors to fields. */
export class Form<Field extends string> {
  values = $state() as Record<Field, string>;
  errors = $state<Partial<Record<Field, string>>>({});
  /** Error that belongs to no field. */
  failure = $state<string | null>(null);
  busy = $state(false);
  /** Seconds until the next attempt is allowed. */
  wait = $state(0);

  readonly #problems: Record<Field, Problem>;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(initial: Record<Field, string>, problems: Record<Field, Problem>) {
    this.values = { ...initial };
    this.#problems = problems;
  }

  get fields(): Field[] {
    return Object.keys(this.#problems) as Field[];
  }

  /** Validates on blur. Untouched fields are skipped; a server error stays until the field changes. */
  left(field: Field): void {
    if (this.values[field] === '') return;
    const check = () => {
      const problem = this.#problems[field](this.values[field]);
      if (problem) this.errors[field] = problem;
    };
    // Errors appear after the click, so that its target doesn't move.
    if (document.documentElement.matches(':active'))
      addEventListener('pointerup', () => setTimeout(check), { once: true });
    else check();
  }

  /** Clears the error while typing as soon as the value is valid. */
  typed(field: Field): void {
    if (this.errors[field] && !this.#problems[field](this.values[field])) this.errors[field] = undefined;
  }

  /** Validates and sends; focuses the first invalid field. Returns whether it succeeded. */
  async submit(element: HTMLFormElement, send: (values: Record<Field, string>) => Promise<unknown>): Promise<boolean> {
    if (this.busy || this.wait > 0) return false;
    this.failure = null;
    for (const field of this.fields) this.errors[field] = this.#problems[field](this.values[field]);
    if (this.#focusFirstError(element)) return false;
    this.busy = true;
    try {
      await send({ ...this.values });
      return true;
    } catch (error) {
      this.#applyError(error);
      requestAnimationFrame(() => this.#focusFirstError(element));
      return false;
    } finally {
      this.busy = false;
    }
  }

  destroy(): void {
    clearInterval(this.#timer);
  }

  #applyError(error: unknown): void {
    let isPlaced = false;
    for (const field of this.fields) {
      const message = fieldError(error, field);
      if (message) {
        this.errors[field] = message;
        isPlaced = true;
      }
    }
    const field = error instanceof ApiError ? FIELD_OF[error.code] : undefined;
    if (field !== undefined && field in this.values) {
      this.errors[field as Field] = errorMessage(error);
      isPlaced = true;
    }
    if (!isPlaced) this.failure = errorMessage(error);
    if (error instanceof ApiError && error.status === 429) this.#countDown(Math.ceil(error.retryAfter ?? 1));
  }

  #countDown(seconds: number): void {
    this.wait = seconds;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.wait -= 1;
      if (this.wait > 0) return;
      this.failure = null;
      clearInterval(this.#timer);
    }, 1000);
  }

  #focusFirstError(element: HTMLFormElement): boolean {
    const field = this.fields.find((name) => this.errors[name]);
    if (!field) return false;
    element.querySelector<HTMLInputElement>(`[name="${field}"]`)?.focus();
    return true;
  }
}
