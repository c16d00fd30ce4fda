/** Passkeys in the browser: converts the server's WebAuthn options and the authenticator's responses. */
import type { PasskeyJson as Json } from './api.ts';

/** Whether passkeys can be used: they need a secure context, a host name and support for WebAuthn as JSON. */
export function canPasskey(): boolean {
  const isName = !/^[\d.]+$|^\[/.test(location.hostname);
  return (
    isName &&
    typeof PublicKeyCredential === 'function' &&
    typeof PublicKeyCredential.parseCreationOptionsFromJSON === 'function' &&
    typeof PublicKeyCredential.parseRequestOptionsFromJSON === 'function'
  );
}

/** Whether the browser supports passkeys in autofill. */
export async function canOfferPasskeys(): Promise<boolean> {
  if (!canPasskey() || typeof PublicKeyCredential.isConditionalMediationAvailable !== 'function') return false;
  return PublicKeyCredential.isConditionalMediationAvailable().catch(() => false);
}

/** Creates a passkey; throws the browser's error. */
export async function createPasskey(options: Json): Promise<Json> {
  const made = options as unknown as PublicKeyCredentialCreationOptionsJSON;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(made);
  return requireCredential(await navigator.credentials.create({ publicKey })).toJSON() as unknown as Json;
}

interface UseOptions {
  /** Whether to wait until the user chooses a passkey from the autofill. */
  conditional?: boolean;
  signal?: AbortSignal | undefined;
}

/** Signs in with a passkey; throws the browser's error. */
export async function usePasskey(options: Json, { conditional = false, signal }: UseOptions = {}): Promise<Json> {
  const asked = options as unknown as PublicKeyCredentialRequestOptionsJSON;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
  const credential = await navigator.credentials.get({
    publicKey,
    ...(conditional ? { mediation: 'conditional' as const } : {}),
    ...(signal ? { signal } : {})
  });
  return requireCredential(credential).toJSON() as unknown as Json;
}

function requireCredential(credential: Credential | null): PublicKeyCredential {
  if (credential instanceof PublicKeyCredential) return credential;
  throw new DOMException('no passkey came', 'NotAllowedError');
}

/** Whether the user has cancelled or the request has timed out. */
export function isPasskeyDismissed(error: unknown): boolean {
  return error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name);
}
