import { ApiError } from '#lib/api/client.ts';
import { fieldError, errorMessage } from '#lib/api/error-messages.ts';

type Problem = (value: string) => string | undefined;

/** Fields at which an error is shown, by its code. */
const FIELD_OF: Record<string, string> = { email_taken: 'email', name_taken: 'title' };

/**
 * State of a form: its values and errors. Validates a field when it loses the focus, keeps the input after an error, and shows errors of the server
 * at their fields.
 */
export class Form<Field extends string> {
  values = $state() as Record<Field, string>;
  errors = $state<Partial<Record<Field, string>>>({});
  /** Error that belongs to no field; null if there is none. */
  failure = $state<string | null>(null);
  busy = $state(false);
  /** Number of seconds until the server allows the next attempt. */
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

  /** Validates a field that has lost the focus. An empty field isn't validated, and an error of the server stays until the value changes. */
  left(field: Field): void {
    if (this.values[field] === '') return;
    const check = () => {
      const problem = this.#problems[field](this.values[field]);
      if (problem) this.errors[field] = problem;
    };
    // If the focus was lost by a click, the error is shown after it, because it could move the target of the click.
    if (document.documentElement.matches(':active'))
      addEventListener('pointerup', () => setTimeout(check), { once: true });
    else check();
  }

  /** Removes the error of a field while typing, as soon as the value is valid. */
  typed(field: Field): void {
    if (this.errors[field] && !this.#problems[field](this.values[field])) this.errors[field] = undefined;
  }

  /** Validates and sends the form. If a field is invalid, it gets the focus. Returns whether the form was sent successfully. */
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
    if (!isPlaced && field !== undefined && field in this.values) {
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
