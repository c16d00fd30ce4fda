import { clsx, type ClassValue } from 'clsx';

/** Joins class names. Contradicting Tailwind utilities aren't resolved, because the components here start with classes of their own. */
export function cn(...inputs: ClassValue[]): string {
  return clsx(inputs);
}
