/** Replaces `$app/navigation` in tests of components, which run without the router. */
import { vi } from 'vitest';

/** Records the navigations of the test. */
export const goto = vi.fn((_to: string | URL, _options?: object) => Promise.resolve());

/** Registers nothing, because navigations of the test are only recorded. */
export const beforeNavigate = (): void => undefined;
