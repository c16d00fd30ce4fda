/** Highlights code in a worker, which can be terminated if it takes too long. */
import { highlight, type Span } from './highlight.ts';

export interface Job {
  readonly language: string;
  readonly code: string;
}

/** Message of the worker. `began`: the grammar has loaded, so the timeout starts now. */
export type Report = { readonly kind: 'began' } | { readonly kind: 'done'; readonly spans: Span[] | null };

const report = (message: Report) => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  let spans: Span[] | null = null;
  try {
    spans = await highlight(data.language, data.code, () => report({ kind: 'began' }));
  } catch {
    // If the grammar fails, the code is shown without colours.
  }
  report({ kind: 'done', spans });
};
