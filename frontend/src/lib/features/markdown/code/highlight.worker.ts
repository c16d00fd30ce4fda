/** Worker that highlights code; it can be terminated. */
import { highlight, type Span } from './highlight.ts';

export interface Job {
  readonly language: string;
  readonly code: string;
}

/** `began`: the grammar has loaded, so the timeout starts. */
export type Report = { readonly kind: 'began' } | { readonly kind: 'done'; readonly spans: Span[] | null };

const report = (message: Report) => self.postMessage(message);

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  let spans: Span[] | null = null;
  try {
    spans = await highlight(data.language, data.code, () => report({ kind: 'began' }));
  } catch {
    // The grammar failed: the code stays plain.
  }
  report({ kind: 'done', spans });
};
