import { afterAll, vi } from 'vitest';

// Files follow each other in one process: none leaves its clock, globals or spies to the next.
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});
