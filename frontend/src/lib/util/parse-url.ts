/** Parses an absolute URL; null if it is invalid. The oldest browsers that the app supports lack `URL.parse`. */
export const parseUrl = (text: string): URL | null => (URL.canParse(text) ? new URL(text) : null);
