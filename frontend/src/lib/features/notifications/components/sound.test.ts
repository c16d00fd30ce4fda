import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const NOW = Date.parse('2026-11-24T10:00:00Z');
let played = 0;
const kept = new Map<string, string>();

/** Opens a tab; returns its function that plays the sound. */
async function tab(hasBeenActive = true): Promise<() => void> {
  vi.resetModules();
  const { chime } = await import('./sound.ts');
  return () => {
    vi.stubGlobal('navigator', {
      userActivation: { hasBeenActive },
      locks: { request: (_: string, run: () => unknown) => Promise.resolve(run()) }
    });
    chime();
  };
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  played = 0;
  kept.clear();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value)
  });
  class Context {
    currentTime = 0;
    resume() {
      played += 1;
      return Promise.resolve();
    }
  }
  class Node {
    gain = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
    connect = (other: unknown) => other;
    start() {}
    stop() {}
  }
  vi.stubGlobal('AudioContext', Context);
  vi.stubGlobal('OscillatorNode', Node);
  vi.stubGlobal('GainNode', Node);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('notification sound', () => {
  it('is played by one of all open tabs', async () => {
    const [one, other] = [await tab(), await tab()];
    one();
    other();
    expect(played).toBe(1);
    vi.setSystemTime(NOW + 2_000);
    other();
    one();
    expect(played).toBe(2);
  });

  it('is played by a tab that may play audio', async () => {
    const [silent, used] = [await tab(false), await tab()];
    silent();
    expect(played).toBe(0);
    used();
    expect(played).toBe(1);
  });

  it('is not played if disabled', async () => {
    kept.set('natter.sound', 'none');
    (await tab())();
    expect(played).toBe(0);
  });
});
