// Real identity provider (npm oidc-provider) that can be told to issue invalid tokens.
//
//   node server.mjs REDIRECT_URI…
//
// Prints one line of JSON: the issuers `oidc`, `microsoft` and `apple`, each on its own port, and `client`, the id and secret that all three accept.
// Its forms accept any name and password. Each issuer is controlled at POST /control: {people: {name: claims}}, {lie: name or null}, {rotate: true},
// {token: {sub, …}}; the response contains the requests so far.
import { createServer } from 'node:http';
import { once } from 'node:events';
import * as jose from 'jose';
import * as oidc from 'oidc-provider';

const CLIENT = { id: 'natter', secret: 'idp-secret', team_id: 'TEAM123456', key_id: 'KEY1234567' };
const TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad';
const APPLE = 'https://appleid.apple.com';
const redirectUris = process.argv.slice(2);
// The library logs to standard error, because the parent process reads only one line of standard output.
console.info = console.error;

const appleKeys = await jose.generateKeyPair('ES256', { extractable: true });
const stranger = (await jose.generateKeyPair('RS256')).privateKey;
const now = () => Math.floor(Date.now() / 1000);

/** Changes of a valid token, by the name of the lie. */
const CLAIMS = {
  audience: (claims) => ({ ...claims, aud: 'somebody-else' }),
  audiences: (claims) => ({ ...claims, aud: [CLIENT.id, 'somebody-else'], azp: 'somebody-else' }),
  audiences_ours: (claims) => ({ ...claims, aud: [CLIENT.id, 'somebody-else'], azp: CLIENT.id }),
  issuer: (claims) => ({ ...claims, iss: 'https://evil.example' }),
  nonce: (claims) => ({ ...claims, nonce: 'another' }),
  no_nonce: ({ nonce: _, ...claims }) => claims,
  // Valid: some providers send these claims only on request.
  thin: ({ email: _, email_verified: __, name: ___, ...claims }) => claims,
  nameless: ({ name: _, ...claims }) => claims,
  // Valid: claims that Auth0, Keycloak and others send in addition to the standard ones, or in their place.
  odd: (claims) => ({
    ...claims,
    updated_at: '2026-11-20T08:15:30.123Z',
    address: {},
    locale: 7,
    picture: null,
    amr: ['pwd', 1],
    birthdate: 1815,
    phone_number_verified: 'no',
    'https://chat.example/roles': ['admin'],
    groups: Array.from({ length: 1000 }, (_, at) => `/departments/engineering/${at}`),
  }),
  no_subject: ({ sub: _, ...claims }) => claims,
  expired: (claims) => ({ ...claims, iat: now() - 500, exp: now() - 120 }),
  old: (claims) => ({ ...claims, iat: now() - 3600 }),
  future: (claims) => ({ ...claims, iat: now() + 3600, exp: now() + 7200 }),
  tenant: (claims) => ({ ...claims, tid: '11111111-1111-1111-1111-111111111111' }),
  no_tenant: ({ tid: _, ...claims }) => claims,
};

class Issuer {
  people = {};
  lie = null;
  keys = [];

  constructor(kind) {
    this.kind = kind;
  }

  async listen() {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    await this.rotate();
    return this.url;
  }

  /** Replaces all keys by a new one. */
  async rotate() {
    const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
    const kid = await jose.calculateJwkThumbprint(await jose.exportJWK(publicKey));
    const jwk = { ...(await jose.exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' };
    this.key = { privateKey, publicKey, kid };
    this.provider = new oidc.Provider(this.url, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: redirectUris,
          token_endpoint_auth_method: this.kind === 'apple' ? 'client_secret_post' : 'client_secret_basic',
        },
      ],
      jwks: { keys: [jwk] },
      scopes: ['openid', 'email', 'profile', 'name'],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'upn'] },
      conformIdTokenClaims: false,
      pkce: { required: () => true },
      cookies: { keys: ['of no importance'] },
      findAccount: (_, sub) => ({ accountId: sub, claims: () => this.#claims(sub) }),
    });
    this.provider.use((ctx, next) => this.#tamper(ctx, next));
    this.callback = this.provider.callback();
  }

  #claims(sub) {
    return { email: `${sub}@idp.test`, email_verified: true, name: sub, ...this.people[sub], sub };
  }

  async #tamper(ctx, next) {
    if (this.kind === 'apple' && ctx.path === '/token') await exchangeSecret(ctx);
    await next();
    if (this.kind === 'microsoft' && ctx.path === '/.well-known/openid-configuration') {
      // Template of Microsoft's `common` tenant.
      ctx.body = { ...ctx.body, issuer: `${this.url}/{tenantid}/v2.0` };
      delete ctx.body.authorization_response_iss_parameter_supported;
    }
    if (ctx.path === '/token' && ctx.body?.id_token) {
      ctx.body = { ...ctx.body, id_token: await this.token(jose.decodeJwt(ctx.body.id_token), this.lie) };
    }
  }

  /** Signs claims, with the current lie if one is set. */
  async token(honest, lie) {
    const tenant = this.kind === 'microsoft' ? { iss: `${this.url}/${TENANT}/v2.0`, tid: TENANT } : {};
    const claims = (CLAIMS[lie] ?? ((same) => same))({ ...honest, ...tenant });
    const jwt = new jose.SignJWT(claims);
    const text = new TextEncoder();
    switch (lie) {
      case 'none':
        return `${jose.base64url.encode('{"alg":"none"}')}.${jose.base64url.encode(JSON.stringify(claims))}.`;
      case 'hmac_of_secret':
        return jwt.setProtectedHeader({ alg: 'HS256' }).sign(text.encode(CLIENT.secret.padEnd(32)));
      case 'hmac_of_key': {
        const key = await jose.exportSPKI(this.key.publicKey);
        return jwt.setProtectedHeader({ alg: 'HS256', kid: this.key.kid }).sign(text.encode(key));
      }
      case 'signature':
        return jwt.setProtectedHeader({ alg: 'RS256', kid: this.key.kid }).sign(stranger);
      case 'unknown_key':
        return jwt.setProtectedHeader({ alg: 'RS256', kid: 'stranger' }).sign(stranger);
      case 'other_type':
        return jwt.setProtectedHeader({ alg: 'RS256', kid: this.key.kid, typ: 'at+jwt' }).sign(this.key.privateKey);
      default:
        return jwt.setProtectedHeader({ alg: 'RS256', kid: this.key.kid }).sign(this.key.privateKey);
    }
  }

  async #answer(request, response) {
    if (request.url !== '/control') return this.callback(request, response);
    const order = JSON.parse(await read(request));
    Object.assign(this.people, order.people);
    if ('lie' in order) this.lie = order.lie;
    if (order.rotate) await this.rotate();
    const answer = {};
    if (order.token) {
      const { lie, ...claims } = order.token;
      const usual = { iss: this.url, aud: CLIENT.id, iat: now(), exp: now() + 3600 };
      answer.token = await this.token({ ...usual, ...this.#claims(claims.sub), ...claims }, lie);
    }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  }
}

/** Checks Apple's client secret, which is signed for each request, as Apple does. */
async function exchangeSecret(ctx) {
  const form = new URLSearchParams(await read(ctx.req));
  const { protectedHeader, payload } = await jose.jwtVerify(form.get('client_secret') ?? '', appleKeys.publicKey, {
    issuer: CLIENT.team_id,
    subject: CLIENT.id,
    audience: APPLE,
    maxTokenAge: '26 weeks',
    algorithms: ['ES256'],
  });
  if (protectedHeader.kid !== CLIENT.key_id || payload.exp > now() + 15777000) throw new Error('not as Apple wants it');
  form.set('client_secret', CLIENT.secret);
  ctx.req.body = Object.fromEntries(form);
}

async function read(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

const issuers = ['oidc', 'microsoft', 'apple'].map((kind) => new Issuer(kind));
const urls = {};
for (const issuer of issuers) urls[issuer.kind] = await issuer.listen();
const client = { ...CLIENT, apple_key: await jose.exportPKCS8(appleKeys.privateKey) };
console.log(JSON.stringify({ ...urls, client }));
// Exits when the parent process closes standard input.
process.stdin.resume().on('end', () => process.exit());
