import { describe, expect, it } from 'vitest';
import { HighlightSession } from './highlighter.ts';
import type { Job, Report } from './highlight.worker.ts';

type Answers = (job: Job, report: (message: Report) => void) => void;

function colouring(answers: Answers, longest = 20) {
  const made: { isEnded: boolean }[] = [];
  const all = new HighlightSession(() => {
    const worker = {
      isEnded: false,
      onmessage: null as ((event: MessageEvent<Report>) => void) | null,
      onerror: null,
      postMessage: (job: Job) => answers(job, (data) => worker.onmessage?.({ data } as MessageEvent<Report>)),
      terminate: () => (worker.isEnded = true)
    };
    made.push(worker);
    return worker as never;
  }, longest);
  return { all, made };
}

const spans = [{ text: 'a', className: 'b' }];

describe('HighlightSession', () => {
  it('returns the spans of the worker', async () => {
    const { all } = colouring((_, report) => {
      report({ kind: 'began' });
      report({ kind: 'done', spans });
    });
    expect(await all.highlight('ts', 'a')).toEqual(spans);
  });

  it('aborts a slow text and colours the next', async () => {
    const { all, made } = colouring(({ code }, report) => {
      report({ kind: 'began' });
      if (code !== 'slow') report({ kind: 'done', spans });
    });
    const [slow, next] = await Promise.all([all.highlight('ts', 'slow'), all.highlight('ts', 'next')]);
    expect(slow).toBeNull();
    expect(next).toEqual(spans);
    expect(made.map(({ isEnded }) => isEnded)).toEqual([true, false]);
  });

  it('leaves code plain without workers', async () => {
    const all = new HighlightSession(() => {
      throw new Error('forbidden');
    });
    expect(await all.highlight('ts', 'a')).toBeNull();
  });
});
