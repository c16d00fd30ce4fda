import type { PasswordPolicy } from '#lib/api/types.ts';
import { m } from '#lib/paraglide/messages.js';

export interface Rule {
  id: string;
  label: string;
  holds: boolean;
}

/** Returns the password rules of the server and whether each is fulfilled. The server's own list of common passwords is longer than the app's. */
export function rulesFor(policy: PasswordPolicy, password: string, email: string, isCommon: boolean): Rule[] {
  const has = (what: RegExp) => what.test(password);
  const isTyped = password !== '';
  const rules: (Rule | false)[] = [
    {
      id: 'length',
      label: m.password_rule_length({ count: policy.min_length }),
      holds: [...password].length >= policy.min_length
    },
    policy.upper && { id: 'upper', label: m.auth_rule_upper(), holds: has(/\p{Lu}/u) },
    policy.lower && { id: 'lower', label: m.auth_rule_lower(), holds: has(/\p{Ll}/u) },
    policy.digit && { id: 'digit', label: m.password_rule_digit(), holds: has(/\p{N}/u) },
    policy.common && { id: 'common', label: m.auth_rule_common(), holds: isTyped && !isCommon },
    isTyped && isAddress(password, email) && { id: 'email', label: m.auth_rule_email(), holds: false }
  ];
  return rules.filter((rule) => rule !== false);
}

function isAddress(password: string, email: string): boolean {
  const [typed, address] = [password.toLowerCase(), email.trim().toLowerCase()];
  return address !== '' && (typed === address || typed === address.split('@')[0]);
}
