import { expect, it } from 'vitest';
import type { Incident } from '../api.ts';
import { impactWords, incidentWords, lengthOf, summary, timesOf } from './figure-labels.ts';

it('sums counters and takes the maximum of gauges', () => {
  expect(summary('messages', [1, null, 4])).toBe(5);
  expect(summary('connections', [1, null, 4])).toBe(4);
  expect(summary('latency_ms', [null])).toBe(0);
});

it.each([
  ['2026-11-22T10:00:00.000Z', '1 s'],
  ['2026-11-22T10:00:12.000Z', '12 s'],
  ['2026-11-22T10:05:00.000Z', '5 min'],
  ['2026-11-22T13:10:00.000Z', '3 hr']
])('names the duration of an incident that ended at %s', (end, length) =>
  expect(lengthOf('2026-11-22T10:00:00.000Z', end)).toBe(length)
);

it('labels each value by the start of its interval', () => {
  const times = timesOf({
    range: '30d',
    from: '2026-11-22T00:00:00Z',
    step_seconds: 86_400,
    series: [{ name: 'people', values: [1, 2] }],
    now: {
      people: 1,
      people_of_day: 1,
      people_of_month: 1,
      guests: 0,
      bans: 0,
      dead_letters: 0,
      jobs_waiting: 0,
      longest_wait_seconds: 0,
      stored_bytes: 0
    },
    incidents: []
  });
  expect(times.map(({ key }) => key)).toEqual(['2026-11-22T00:00:00.000Z', '2026-11-23T00:00:00.000Z']);
  expect(times[1]?.label).toContain('23');
});

it('describes the impact of an incident if it was counted', () => {
  const incident: Incident = {
    kind: 'database',
    detail: null,
    began_at: '',
    ended_at: '',
    instances: 1,
    impact: 12,
    people: 38
  };
  expect(impactWords(incident)).toBe('12 requests failed. Up to 38 people were online.');
  expect(impactWords({ ...incident, impact: 1, people: 1 })).toBe('1 request failed. 1 person was online.');
  expect(impactWords({ ...incident, impact: 1204, people: null })).toBe('1,204 requests failed.');
  expect(impactWords({ ...incident, impact: 0 })).toBe('Nothing failed during this time.');
  expect(impactWords({ ...incident, impact: null })).toBe('');
  expect(impactWords({ ...incident, kind: 'redis' })).toBe('');
  expect(impactWords({ ...incident, kind: 'redis', instances: 2, people: null })).toContain('up to a second late');
  expect(impactWords({ ...incident, kind: 'ai' })).toBe('12 questions failed. 38 people were affected.');
  expect(impactWords({ ...incident, kind: 'provider', people: null })).toBe('12 requests to it failed.');
  expect(incidentWords({ ...incident, kind: 'provider', detail: 'main' }).what).toBe(
    'The AI provider main isn’t available'
  );
  expect(impactWords({ ...incident, kind: 'dead_letters', people: null })).toBe('12 jobs needed attention.');
  expect(impactWords({ ...incident, kind: 'of a newer server' as 'ai' })).toBe('');
});
