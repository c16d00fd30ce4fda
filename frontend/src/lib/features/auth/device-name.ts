const BROWSERS: [RegExp, string][] = [
  [/Edg(?:A|iOS)?\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/SamsungBrowser\//, 'Samsung Internet'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\//, 'Chrome'],
  [/Version\/.*Safari\//, 'Safari']
];

const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux']
];

export interface DeviceName {
  /** Name of the browser or of another client program. */
  program: string | undefined;
  system: string | undefined;
  kind: 'phone' | 'computer' | 'program';
}

/** Converts a `User-Agent` into readable names. */
export function deviceName(userAgent: string | null): DeviceName {
  const text = userAgent ?? '';
  const program = BROWSERS.find(([pattern]) => pattern.test(text))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(text))?.[1];
  if (!program) return { program: text.split(/[\s/]/)[0] || undefined, system, kind: 'program' };
  return { program, system, kind: /Mobile|iPhone|Android/.test(text) ? 'phone' : 'computer' };
}
