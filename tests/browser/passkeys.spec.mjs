// Passkeys with Chromium's virtual authenticator, which shows that the formats of the server are those of browsers.

import { startServer } from '../clients/server.mjs';
import { expect, giveAuthenticator, test as base } from './people.mjs';

const PASSWORD = 'Correct-Horse-9-Battery';

// Passkeys require a host name instead of an IP address.
const test = base.extend({
  server: [
    async ({}, use) => {
      const server = await startServer({});
      await use(server);
      await server.stop();
    },
    { scope: 'worker' }
  ]
});

/** Page of the server in a browser with an authenticator that verifies the user. */
async function arriveWithKey(browser, server) {
  const url = server.url.replace('127.0.0.1', 'localhost');
  const context = await browser.newContext();
  const page = await context.newPage();
  // The sign-in page itself waits for a passkey, and only one request may be open, so another page is used.
  await page.goto(`${url}/sign-up`);
  const { devtools, authenticatorId } = await giveAuthenticator(page);
  /** Sends a request from the page; returns the status and body of the response. */
  const call = (method, path, body, token) =>
    page.evaluate(
      async ([method, path, body, token]) => {
        const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
        const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
        return { ...(await answer.json()), status: answer.status };
      },
      [method, path, body, token]
    );
  const signUp = async () => {
    const email = `passkey-${Date.now()}-${Math.random()}@example.test`;
    const body = { email, password: PASSWORD, display_name: 'Ada' };
    const { data } = await call('POST', '/r1/auth/signup', body);
    return { email, ...data };
  };
  /** Creates a passkey with the options of the server. */
  const create = (publicKey) =>
    page.evaluate(async (json) => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json);
      return (await navigator.credentials.create({ publicKey })).toJSON();
    }, publicKey);
  /** Signs a challenge with a passkey. */
  const get = (publicKey) =>
    page.evaluate(async (json) => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json);
      return (await navigator.credentials.get({ publicKey })).toJSON();
    }, publicKey);
  return { page, context, devtools, authenticatorId, call, signUp, create, get };
}

/** Registers a passkey for an account. */
async function register(key, token, name) {
  const { data } = await key.call('POST', '/r1/auth/passkeys/register/start', undefined, token);
  const credential = await key.create(data.publicKey);
  const body = { challenge_id: data.challenge_id, credential, ...(name && { name }) };
  return { body, answer: await key.call('POST', '/r1/auth/passkeys/register/finish', body, token) };
}

async function signIn(key) {
  const { data } = await key.call('POST', '/r1/auth/passkeys/signin/start');
  const body = { challenge_id: data.challenge_id, credential: await key.get(data.publicKey) };
  return { body, answer: await key.call('POST', '/r1/auth/passkeys/signin/finish', body) };
}

test('signs in with a passkey and rejects a replay', async ({ browser, server }) => {
  const key = await arriveWithKey(browser, server);
  const ada = await key.signUp();
  const made = await register(key, ada.access_token, 'My telephone');
  expect(made.answer).toMatchObject({ status: 201, data: { name: 'My telephone', last_used_at: null } });
  expect((await key.call('POST', '/r1/auth/passkeys/register/finish', made.body, ada.access_token)).status).toBe(422);

  const first = await signIn(key);
  expect(first.answer).toMatchObject({ status: 200, data: { user: { id: ada.user.id } } });
  expect(first.answer.data.session_id).not.toBe(ada.session_id);
  expect((await key.call('POST', '/r1/auth/passkeys/signin/finish', first.body)).status).toBe(422);
  expect((await signIn(key)).answer.status).toBe(200);

  const listed = await key.call('GET', '/r1/auth/passkeys', undefined, ada.access_token);
  expect(listed.data.total).toBe(1);
  expect(listed.data.items[0].last_used_at).not.toBeNull();
  expect(
    (await key.call('DELETE', `/r1/auth/passkeys/${listed.data.items[0].id}`, undefined, ada.access_token)).status
  ).toBe(200);
  expect((await signIn(key)).answer).toMatchObject({ status: 401, code: 'invalid_credentials' });
  await key.context.close();
});

test('requires user verification of passkeys', async ({ browser, server }) => {
  const key = await arriveWithKey(browser, server);
  const ada = await key.signUp();
  await register(key, ada.access_token);
  await key.devtools.send('WebAuthn.setUserVerified', { authenticatorId: key.authenticatorId, isUserVerified: false });
  const { data } = await key.call('POST', '/r1/auth/passkeys/signin/start');
  // Browsers obey the options, so an attacker is simulated by weaker ones.
  const credential = await key.get({ ...data.publicKey, userVerification: 'discouraged' });
  const body = { challenge_id: data.challenge_id, credential };
  expect((await key.call('POST', '/r1/auth/passkeys/signin/finish', body)).status).toBe(401);
  await key.context.close();
});

test('rejects forged assertions, cloned passkeys and foreign challenges', async ({ browser, server }) => {
  const key = await arriveWithKey(browser, server);
  const ada = await key.signUp();
  const ben = await key.signUp();
  await register(key, ada.access_token);
  expect((await signIn(key)).answer.status).toBe(200);
  const question = (await key.call('POST', '/r1/auth/passkeys/signin/start')).data;
  const answer = await key.get(question.publicKey);
  const forged = structuredClone(answer);
  forged.response.userHandle = btoa('0123456789abcdef').replaceAll('=', '');
  const forgedBody = { challenge_id: question.challenge_id, credential: forged };
  expect((await key.call('POST', '/r1/auth/passkeys/signin/finish', forgedBody)).status).toBe(401);
  const again = { challenge_id: question.challenge_id, credential: answer };
  expect(
    (await key.call('POST', '/r1/auth/passkeys/signin/finish', again)).status,
    'one answer for each question'
  ).toBe(422);

  // A copy of the authenticator continues its counter independently.
  const { credentials } = await key.devtools.send('WebAuthn.getCredentials', { authenticatorId: key.authenticatorId });
  await key.devtools.send('WebAuthn.clearCredentials', { authenticatorId: key.authenticatorId });
  const copy = credentials.find(({ signCount }) => signCount > 1) ?? credentials[0];
  await key.devtools.send('WebAuthn.addCredential', {
    authenticatorId: key.authenticatorId,
    credential: { ...copy, signCount: 0 }
  });
  expect((await signIn(key)).answer.status).toBe(401);

  const { data } = await key.call('POST', '/r1/auth/passkeys/register/start', undefined, ben.access_token);
  const stolen = { challenge_id: data.challenge_id, credential: await key.create(data.publicKey) };
  expect((await key.call('POST', '/r1/auth/passkeys/register/finish', stolen, ada.access_token)).status).toBe(422);
  await key.context.close();
});
