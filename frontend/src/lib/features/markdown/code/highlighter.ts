/** Highlights code in a worker, one block at a time and with a timeout. */
import '../../../../styles/code.css';
import type { Span } from './highlight.ts';
import type { Job, Report } from './highlight.worker.ts';

/** Time in milliseconds after which the worker is terminated. The code then stays without colours, and a new worker highlights the next block. */
const HIGHLIGHT_TIMEOUT = 1_000;

type Line = Pick<Worker, 'postMessage' | 'terminate'> & {
  onmessage: ((event: MessageEvent<Report>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
};

export class HighlightSession {
  readonly #make: () => Line;
  readonly #longest: number;
  #worker: Line | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(make: () => Line, longest = HIGHLIGHT_TIMEOUT) {
    this.#make = make;
    this.#longest = longest;
  }

  /** Returns the spans of the code; null if the language is unknown or it took too long. */
  highlight(language: string, code: string): Promise<Span[] | null> {
    const turn = this.#last.then(() => this.#request({ language, code }));
    this.#last = turn;
    return turn;
  }

  #request(job: Job): Promise<Span[] | null> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const finish = (spans: Span[] | null, isLost: boolean) => {
        clearTimeout(timer);
        if (isLost) this.#stopWorker();
        resolve(spans);
      };
      try {
        this.#worker ??= this.#make();
        this.#worker.onmessage = ({ data }) => {
          if (data.kind === 'done') finish(data.spans, false);
          else timer = setTimeout(() => finish(null, true), this.#longest);
        };
        this.#worker.onerror = () => finish(null, true);
        this.#worker.postMessage(job);
      } catch {
        // Workers are unavailable, so the code stays without colours.
        finish(null, true);
      }
    });
  }

  #stopWorker(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }
}

export const highlighter = new HighlightSession(
  () => new Worker(new URL('./highlight.worker.ts', import.meta.url), { type: 'module' })
);
